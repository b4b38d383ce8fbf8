"""Augmentation: the same random parameters for all frames of a clip."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mofore.clips.augment import (
    GRAY_34,
    MEAN,
    STD,
    eval_crop,
    input_channels,
    random_colour,
    random_crop,
    time_reverse,
    to_input,
)
from mofore.config import Augment, Clip

FULL = Augment(crop_min=0.3, flip=0.5, jitter=0.4, grayscale=0.2, clean_target_prob=0)
NONE = Augment(crop_min=1.0, flip=0.0, jitter=0.0, grayscale=0.0, clean_target_prob=0)
CROPS = ("none", "center")


def clip_config(size: int, crop: str = "none") -> Clip:
    return Clip(frames=4, stride=1, size=size, crop=crop, input="rgb")


def smooth_image(height: int, width: int) -> np.ndarray:
    small = np.random.default_rng(0).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


@given(height=st.integers(20, 60), width=st.integers(20, 60), seed=st.integers(0, 500), crop=st.sampled_from(CROPS))
def test_all_frames_get_the_same_crop(height: int, width: int, seed: int, crop: str) -> None:
    still = np.repeat(smooth_image(height, width)[None], 3, axis=0)
    clip = random_crop(still, clip_config(16, crop), FULL, np.random.default_rng(seed))
    assert clip.shape == (3, 16, 16, 3)
    assert clip.dtype == np.uint8
    assert clip.flags["C_CONTIGUOUS"]
    assert (clip == clip[0]).all()


def test_crops_differ_from_clip_to_clip() -> None:
    rng, still = np.random.default_rng(0), smooth_image(40, 50)[None]
    assert len({random_crop(still, clip_config(16), FULL, rng).tobytes() for _ in range(20)}) == 20


def test_flip_mirrors() -> None:
    still = smooth_image(32, 32)[None]
    always = Augment(crop_min=1.0, flip=1.0, jitter=0, grayscale=0, clean_target_prob=0)
    never = Augment(crop_min=1.0, flip=0.0, jitter=0, grayscale=0, clean_target_prob=0)
    one = random_crop(still, clip_config(32), always, np.random.default_rng(3))
    other = random_crop(still, clip_config(32), never, np.random.default_rng(3))
    assert (one[:, :, ::-1] == other).all()


def gradients(height: int, width: int) -> np.ndarray:
    """One frame whose red rises from top to bottom and whose green rises from left to right, 0 to 255."""
    down, right = np.meshgrid(np.linspace(0, 255, height), np.linspace(0, 255, width), indexing="ij")
    return np.stack([down, right, np.zeros_like(down)], axis=2)[None].astype(np.uint8)


@given(height=st.integers(32, 60), width=st.integers(32, 120), crop=st.sampled_from(CROPS), seed=st.integers(0, 500))
def test_a_crop_has_the_required_area_and_aspect(height: int, width: int, crop: str, seed: int) -> None:
    """With crop none the aspect ratio is relative to the frame, with center to a square. The frame limits the crop."""
    augment = Augment(crop_min=0.5, flip=0, jitter=0, grayscale=0, clean_target_prob=0)
    part = random_crop(gradients(height, width), clip_config(32, crop), augment, np.random.default_rng(seed))[0].astype(
        float
    )
    h, w = (float(np.ptp(part[..., channel])) / 255 for channel in (0, 1))  # height and width as shares of the frame's
    tolerance = 0.12  # pixels and gray values are rounded, and the outermost of 32 values lie half a pixel inside
    smallest = 0.5 * 3 / 4  # with center, the frame's shorter side also limits the crop
    smallest = smallest if crop == "none" else min(smallest, np.sqrt(smallest * min(height / width, width / height)))
    assert h * w >= smallest * (1 - tolerance)
    wanted = 1.0 if crop == "none" else width / height  # h / w for a crop of aspect ratio 1
    inside = h < 1 - tolerance and w < 1 - tolerance
    assert not inside or wanted * 3 / 4 * (1 - tolerance) <= h / w <= wanted * 4 / 3 * (1 + tolerance)


def test_evaluations_see_whole_frames() -> None:
    frames = gradients(40, 90)
    part = eval_crop(frames, clip_config(20, "none"))
    assert part.shape == (1, 20, 20, 3)
    assert part[0, 0, 0, :2].max() < 15
    assert part[0, -1, -1, :2].min() > 240
    assert (eval_crop(frames[:, :20, :20], clip_config(20, "none")) == frames[:, :20, :20]).all(), (
        "frames of the right size are unchanged"
    )


def test_evaluations_see_the_centre() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 10, 14, 3), dtype=np.uint8)
    assert (eval_crop(frames, clip_config(6, "center")) == frames[:, 2:8, 4:10]).all()


def test_jitter_0_leaves_colours_unchanged() -> None:
    colour = random_colour(NONE, np.random.default_rng(0))
    assert np.allclose(colour, np.hstack([np.eye(3), np.zeros((3, 1))]))


def test_grayscale_gives_three_equal_channels() -> None:
    gray = random_colour(
        Augment(crop_min=1, flip=0, jitter=0, grayscale=1, clean_target_prob=0), np.random.default_rng(0)
    )
    assert np.allclose(gray[:, :3], GRAY_34[:, :3], atol=1e-6)


@given(seed=st.integers(0, 200), batch=st.integers(1, 4))
def test_each_sample_of_a_batch_gets_its_own_colour_map(seed: int, batch: int) -> None:
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 256, (batch, 4, 5, 6, 3), dtype=np.uint8)
    colours = np.stack([random_colour(FULL, rng) for _ in range(batch)])
    together = to_input(torch.from_numpy(frames), "rgb", torch.from_numpy(colours))
    for b in range(batch):
        slow = frames[b].astype(np.float64) / 255 @ colours[b, :, :3].T.astype(np.float64) + colours[b, :, 3]
        slow = (slow.clip(0, 1) - MEAN) / STD
        assert np.allclose(together[b].permute(1, 2, 3, 0).numpy(), slow, atol=1e-4)


def test_residual_input_is_the_difference_of_successive_frames() -> None:
    frames = torch.randint(0, 256, (2, 5, 4, 4, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    rgb, residual = to_input(frames, "rgb"), to_input(frames, "residual")
    assert residual.shape == (2, 3, 4, 4, 4)
    assert torch.allclose(residual, rgb[:, :, 1:] - rgb[:, :, :-1], atol=1e-5)
    still = to_input(frames[:, :1].expand(-1, 5, -1, -1, -1), "residual")
    assert still.abs().max() == 0


def test_both_is_the_difference_and_the_later_frame() -> None:
    frames = torch.randint(0, 256, (2, 5, 4, 4, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    both = to_input(frames, "both")
    assert both.shape[1] == input_channels("both") == 6
    assert torch.equal(both[:, :3], to_input(frames, "residual"))
    assert torch.equal(both[:, 3:], to_input(frames, "rgb")[:, :, 1:])


@pytest.mark.parametrize("kind", ["rgb", "residual", "both"])
def test_input_is_channels_last(kind: str) -> None:
    x = to_input(torch.zeros(2, 5, 6, 7, 3, dtype=torch.uint8), kind)
    assert x.is_contiguous(memory_format=torch.channels_last_3d)


@pytest.mark.parametrize("kind", ["rgb", "residual", "both"])
def test_time_reverse_equals_input_of_reversed_frames(kind: str) -> None:
    frames = torch.randint(0, 256, (2, 5, 4, 4, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(time_reverse(to_input(frames, kind), kind), to_input(frames.flip(1), kind), atol=1e-5)
