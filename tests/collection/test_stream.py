"""The stream of windows equals a slow reference that has all frames in memory."""

import math

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch

from mofore.clips.augment import eval_crop, to_input
from mofore.collection.encoder import LoadedEncoder, open_encoder
from mofore.collection.features import Features
from mofore.collection.frame_times import UnevenError
from mofore.collection.stream import EnoughError, Window, WindowSink
from mofore.collection.table import GRID
from mofore.collection.windows import RATE
from mofore.config import Clip
from mofore.method.encoders import build_encoder

Images = list[npt.NDArray[np.uint8]]
CPU = torch.device("cpu")


def moving(frames: int, size: tuple[int, int] = (86, 64), seed: int = 0) -> Images:
    """A textured picture that is shifted, BGR."""
    rng = np.random.default_rng(seed)
    texture = cv2.GaussianBlur(rng.integers(0, 256, (size[1], size[0] * 3, 3), np.uint8), (0, 0), 3)
    return [np.ascontiguousarray(texture[:, t % size[0] : t % size[0] + size[0]]) for t in range(frames)]


@pytest.fixture(scope="module", params=["shipped", "rgb", "center"])
def encoder(request: pytest.FixtureRequest) -> LoadedEncoder:
    if request.param == "shipped":
        return open_encoder()
    clip = Clip(4, 2, 32, "center", "residual") if request.param == "center" else Clip(4, 2, 32, "none", "rgb")
    return LoadedEncoder("small", clip, "here", "0", build_encoder("small", 0, clip.input).eval())


def stream(
    encoder: LoadedEncoder, images: Images, fps: float = 25.0, stamps: list[float] | None = None, **options: object
) -> tuple[list[tuple[Window, Features]], Features | None, float]:
    found: list[tuple[Window, Features]] = []
    sink = WindowSink(encoder, CPU, 2.0, 1.0, found.clear, found.extend, **options)  # type: ignore[arg-type]
    try:
        sink.start(fps)
        for number, image in enumerate(images):
            sink.add(stamps[number] if stamps else number / fps, image)
    except EnoughError:
        pass
    mean, _, seconds = sink.finish()
    sink.close()
    return found, mean, seconds


def reference(encoder: LoadedEncoder, images: Images, starts: list[int]) -> npt.NDArray[np.float32]:
    """Mean over clips of the features of the whole frame, one clip at a time."""
    clip, total = encoder.clip, 0.0
    offsets = np.arange(clip.frames + (clip.input != "rgb")) * clip.stride
    for start in starts:
        rgb = [cv2.cvtColor(images[start + offset], cv2.COLOR_BGR2RGB) for offset in offsets]
        frames_1THWC = torch.from_numpy(eval_crop(rgb, clip))[None]  # type: ignore[arg-type]
        with torch.inference_mode():
            total = total + encoder.network(to_input(frames_1THWC, clip.input))[0].numpy()
    return np.asarray(total / len(starts), np.float32)


def test_windows_and_mean_equal_the_reference(encoder: LoadedEncoder) -> None:
    images = moving(130)
    found, mean, seconds = stream(encoder, images)
    spans = [(0, 50), (25, 50), (50, 50), (75, 50)]  # 130 frames: 5 left out at the end, less than half a step
    assert [(window.start_s, round(window.end_s, 6)) for window, _ in found] == [
        (start / 25, (start + length) / 25) for start, length in spans
    ]
    clips: set[int] = set()
    for window, features in found:
        expected = reference(encoder, images, window.clips)
        np.testing.assert_allclose(features.x_GD[0], expected, rtol=1e-3, atol=1e-3)
        assert features.x_GD.shape == (1 + GRID**2, encoder.network.dim)
        clips |= set(window.clips)
    assert mean is not None
    np.testing.assert_allclose(mean.x_GD[0], reference(encoder, images, sorted(clips)), rtol=1e-3, atol=1e-3)
    assert seconds == pytest.approx(130 / 25)


def test_the_end_is_covered_and_a_short_video_is_one_window(encoder: LoadedEncoder) -> None:
    images = moving(140)
    assert [window.start_s for window, _ in stream(encoder, images)[0]] == [0, 1, 2, 3, 90 / 25]
    (one,) = stream(encoder, images[:40])[0]
    assert one[0].start_s == 0
    assert one[0].end_s == pytest.approx(40 / 25)
    found, mean, _ = stream(encoder, images[:4])
    assert found == []
    assert mean is None


def test_a_part_equals_a_video_of_these_frames(encoder: LoadedEncoder) -> None:
    images = moving(200)
    _, part, _ = stream(encoder, images, part=(2.0, 5.0))
    _, alone, _ = stream(encoder, images[50:125])
    assert part is not None
    assert alone is not None
    np.testing.assert_allclose(part.x_GD, alone.x_GD, rtol=1e-4, atol=1e-4)


def test_another_decoder_begins_anew_and_a_limit_ends_the_video(encoder: LoadedEncoder) -> None:
    images = moving(150)
    found: list[tuple[Window, Features]] = []
    sink = WindowSink(encoder, CPU, 2.0, 1.0, found.clear, found.extend, limit=100)
    for attempt in (60, 150):
        sink.start(25.0)
        for number, image in enumerate(images[:attempt]):
            sink.add(number / 25, image)
    _, picture, _ = sink.finish()
    sink.close()
    expected, _, _ = stream(encoder, images[:100])
    assert [window[:2] for window, _ in found] == [window[:2] for window, _ in expected]
    for (_, one), (_, other) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.x_GD, other.x_GD)
    assert picture.startswith(b"\xff\xd8")


@pytest.mark.parametrize("bad", [math.nan, 0.0])
def test_times_follow_time_stamps_or_the_rate_where_there_are_none(encoder: LoadedEncoder, bad: float) -> None:
    images = moving(75)
    slow = [10 + number / 22 for number in range(75)]  # the header says 25
    found, _, seconds = stream(encoder, images, stamps=slow)
    assert [round(window.start_s, 6) for window, _ in found] == [0, round(25 / 22, 6)]
    assert seconds == pytest.approx(74 / 22 + 1 / 25)
    _, _, seconds = stream(encoder, images, stamps=[bad] * 75)
    assert seconds == pytest.approx(3)


@pytest.mark.parametrize(
    "stamps",
    [
        [number / 50 for number in range(50)] + [1 + number / 5 for number in range(60)],  # first fast, then slow
        [number / 25 + 20 * (number > 80) for number in range(110)],  # a pause of 20 s
        [number / 12 for number in range(40)],  # shorter than a window, at half the rate of the header
    ],
)
def test_uneven_frames_are_told_and_taken_as_they_are_once_resampled(stamps: list[float]) -> None:
    encoder, images = open_encoder(), moving(len(stamps))
    with pytest.raises(UnevenError):
        stream(encoder, images, stamps=stamps)
    sink = WindowSink(encoder, CPU, 2.0, 1.0, lambda: None, lambda _: None, uneven=True)
    assert sink.start(25.0) == sink.start(30.0) == RATE
    sink.close()


def test_motion_and_contrast_are_in_gray_levels() -> None:
    encoder = open_encoder()
    black, white = np.zeros((64, 64, 3), np.uint8), np.full((64, 64, 3), 255, np.uint8)
    _, still, _ = stream(encoder, [white] * 30)
    assert still is not None
    assert still.motion == 0
    assert still.contrast == pytest.approx(0, abs=1e-3)
    _, flicker, _ = stream(encoder, [black, white] * 15)
    assert flicker is not None
    assert flicker.motion == pytest.approx(255.0, rel=1e-4)


def test_what_is_in_memory_does_not_grow_with_the_video(encoder: LoadedEncoder) -> None:
    sink = WindowSink(encoder, CPU, 2.0, 1.0, lambda: None, lambda found: None)
    sink.start(25.0)
    kept = []
    for number, image in enumerate(moving(64) * 40):
        sink.add(number / 25, image)
        state = sink._state
        of_clips = len(state.batch) + len(state.embedded) + len(state.asked)
        kept.append(len(state.last_frames) + len(state.unfinished) + len(state.pictures) + of_clips)
    sink.finish()
    sink.close()
    assert max(kept[1500:]) <= max(kept[:1500]) + 64


@pytest.mark.parametrize(
    ("fps", "header_frames", "share"), [(25.0, 100, 0.5), (50.0, 200, 0.5), (25.0, 5, 0.99), (25.0, 0, 0)]
)
def test_the_share_of_a_video_that_is_done(fps: float, header_frames: int, share: float) -> None:
    """Two seconds of a video whose header gives its length, too small a length, or none."""
    sink = WindowSink(open_encoder(), CPU, 2.0, 1.0, lambda: None, lambda found: None)
    rate = sink.start(fps, header_frames) or fps
    assert sink.share == 0
    for number, image in enumerate(moving(round(2 * rate))):
        sink.add(number / rate, image)
    assert sink.share == pytest.approx(share)
    sink.close()
