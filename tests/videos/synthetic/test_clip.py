"""The random properties of a video: their ranges, and their symmetry in time."""

import numpy as np
import pytest

from mofore.videos.synthetic.clip import FRAMES, YAW, DemoClip, sample_demo_clip, smooth_noise
from mofore.videos.synthetic.kinematics import Array
from mofore.videos.synthetic.scene import MARGIN


@pytest.fixture(scope="module")
def clips() -> list[DemoClip]:
    return [sample_demo_clip(np.random.default_rng(seed)) for seed in range(1000)]


def z_score(values: Array) -> float:
    """Return the absolute mean in units of its standard error."""
    return float(abs(values.mean()) / (values.std() / np.sqrt(len(values))))


def test_properties_are_in_their_ranges(clips: list[DemoClip]) -> None:
    assert {c.frames for c in clips} == set(range(FRAMES[0], FRAMES[1] + 1))
    assert all(YAW[0] <= abs(c.yaw) <= YAW[1] for c in clips)
    assert all(len(x) == c.frames for c in clips for x in (c.speed, c.once_phase, c.idle, c.camera_shift, c.gain))
    assert all(c.file_bytes % 2 == 0 for c in clips)
    assert 0.4 < np.mean([c.mirrored for c in clips]) < 0.6


def test_actions_that_run_once_take_most_of_the_video(clips: list[DemoClip]) -> None:
    for clip in clips:
        assert (clip.once_phase[0], clip.once_phase[-1]) == (0, pytest.approx(1))
        assert (np.diff(clip.once_phase) >= 0).all()
        assert ((clip.once_phase > 0.001) & (clip.once_phase < 0.999)).mean() > 0.65


def test_distributions_are_the_same_backwards_in_time(clips: list[DemoClip]) -> None:
    """Statistics that change sign under time reversal have mean 0."""
    assert z_score(np.array([c.once_phase[c.frames // 2] + c.once_phase[(c.frames - 1) // 2] - 1 for c in clips])) < 4
    assert z_score(np.array([c.once_phase[c.frames // 4] + c.once_phase[-1 - c.frames // 4] - 1 for c in clips])) < 4
    assert z_score(np.array([c.speed[-1] - c.speed[0] for c in clips])) < 4
    assert z_score(np.array([c.gain[-1] - c.gain[0] for c in clips])) < 4
    for axis in (0, 1):
        assert z_score(np.array([c.camera_shift[-1, axis] - c.camera_shift[0, axis] for c in clips])) < 4
        step = [np.diff(c.camera_shift[:, axis]) for c in clips]
        assert z_score(np.array([(s**3).mean() for s in step])) < 4  # no sawtooth


def test_the_picture_never_moves_beyond_the_background(clips: list[DemoClip]) -> None:
    assert max(np.abs(c.camera_shift).max() for c in clips) < MARGIN


@pytest.mark.parametrize("sigma", [2, 12])
def test_smooth_noise_has_unit_variance_and_the_documented_correlation(sigma: int) -> None:
    noise = smooth_noise(np.random.default_rng(0), 200, sigma, 500)
    assert noise.std(axis=1) == pytest.approx(1, abs=0.15)
    correlation = (noise[100] * noise[100 + 2 * sigma]).mean()
    assert correlation == pytest.approx(np.exp(-1), abs=0.15)  # exp(-lag^2 / (4 sigma^2))
