"""The frames of a video: size, motion, and the background under a moving camera."""

from dataclasses import replace

import numpy as np
import pytest

from mofore.videos.synthetic.actions import ACTIONS
from mofore.videos.synthetic.appearance import HEIGHT, WIDTH, Appearance, Image, sample_appearance
from mofore.videos.synthetic.clip import sample_demo_clip
from mofore.videos.synthetic.draw import draw_frames
from mofore.videos.synthetic.scene import MARGIN, draw_background


@pytest.fixture(scope="module")
def group() -> tuple[Appearance, Image]:
    rng = np.random.default_rng(0)
    appearance = sample_appearance(rng)
    return appearance, draw_background(rng, appearance)


def test_background_has_a_margin_and_follows_from_the_seed(group: tuple[Appearance, Image]) -> None:
    background = group[1]
    assert background.shape == (HEIGHT + 2 * MARGIN, WIDTH + 2 * MARGIN, 3)
    rng = np.random.default_rng(0)
    assert np.array_equal(draw_background(rng, sample_appearance(rng)), background)


@pytest.mark.slow
@pytest.mark.parametrize("name", ACTIONS)
def test_the_figure_moves_and_fills_over_half_of_the_frames_height(name: str, group: tuple[Appearance, Image]) -> None:
    appearance, background = group
    clip = sample_demo_clip(np.random.default_rng(3))
    still = replace(clip, camera_shift=clip.camera_shift * 0, gain=clip.gain**0, offset_x=0.0)
    frames = np.array(list(draw_frames(name, appearance, background, still)), np.float64)
    assert frames.shape == (clip.frames, HEIGHT, WIDTH, 3)
    plain = background[MARGIN:-MARGIN, MARGIN:-MARGIN].astype(float)
    rows, columns = np.nonzero(np.abs(frames - plain).mean(axis=(0, 3)) > 12)
    assert np.ptp(rows) > 0.5 * HEIGHT
    assert abs(columns.mean() - WIDTH / 2) < 0.2 * WIDTH
    moving = (frames.mean(axis=3).std(axis=0) > 8).mean()
    assert 0.01 < moving < 0.4


def test_background_moves_with_the_camera(group: tuple[Appearance, Image]) -> None:
    appearance, background = group
    clip = sample_demo_clip(np.random.default_rng(3))
    moved = replace(clip, camera_shift=np.full_like(clip.camera_shift, 5), offset_x=-5.0, offset_y=-5.0)
    stays = replace(clip, camera_shift=np.zeros_like(clip.camera_shift), offset_x=0.0, offset_y=0.0)
    a, b = (
        next(draw_frames("Bow", appearance, background, moved)),
        next(draw_frames("Bow", appearance, background, stays)),
    )
    corner = np.abs(a[5:25, 5:40].astype(float) - b[:20, :35]).mean()
    assert corner < 3  # the difference is only noise
