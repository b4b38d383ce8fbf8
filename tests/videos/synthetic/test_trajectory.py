"""The motion in a video: reversed pairs, mirroring, and the ball."""

from dataclasses import replace

import numpy as np
import pytest

from mofore.videos.synthetic.clip import DemoClip, sample_demo_clip
from mofore.videos.synthetic.figure import Camera
from mofore.videos.synthetic.kinematics import HEAD, PELVIS, Body
from mofore.videos.synthetic.trajectory import clip_motion, clip_phase


def reversed_in_time(clip: DemoClip) -> DemoClip:
    """Return properties with which an action's reverse shows the same motion backwards."""
    phase = clip_phase("Throw", clip)
    speed = np.roll(clip.speed[::-1], 1)
    start = 1 - phase[-1] - (clip_phase("Throw", replace(clip, start_phase=0.0, speed=speed))[0])
    return replace(clip, start_phase=start, speed=speed, once_phase=1 - clip.once_phase[::-1], idle=clip.idle[::-1])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("forward", "backward"), [("SitDown", "StandUp"), ("Throw", "Catch")])
def test_the_actions_of_a_pair_show_the_same_motion_in_reverse(forward: str, backward: str, seed: int) -> None:
    clip = sample_demo_clip(np.random.default_rng(seed))
    joints, ball = clip_motion(forward, Body(), clip)
    joints_back, ball_back = clip_motion(backward, Body(), reversed_in_time(clip))
    np.testing.assert_allclose(joints_back[::-1], joints, atol=1e-9)
    if ball is None or ball_back is None:
        assert ball is ball_back is None
    else:
        assert 0 < np.isnan(ball).mean() < 1
        np.testing.assert_allclose(ball_back[::-1], ball, atol=1e-9)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("yaw", [-45.0, 45.0])
def test_sitting_down_moves_the_hips_down_on_screen_from_every_direction(mirrored: bool, yaw: float) -> None:
    clip = replace(sample_demo_clip(np.random.default_rng(0)), mirrored=mirrored, yaw=yaw)
    camera = Camera(size=70, yaw=yaw, pitch=10, origin=np.zeros((1, 2)))
    for name, sign in (("SitDown", 1), ("StandUp", -1)):
        hips = clip_motion(name, Body(), clip)[0][:, PELVIS]
        assert (sign * np.diff(hips[:, 2]) <= 1e-9).all()
        rows = camera(hips)[:, 1]
        assert sign * (rows[-1] - rows[0]) > 10


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("yaw", [-45.0, 45.0])
def test_a_thrown_ball_moves_away_and_a_caught_ball_comes_closer(mirrored: bool, yaw: float) -> None:
    clip = replace(sample_demo_clip(np.random.default_rng(0)), mirrored=mirrored, yaw=yaw)
    for name, sign in (("Throw", 1), ("Catch", -1)):
        joints, ball = clip_motion(name, Body(), clip)
        assert ball is not None
        distance = np.linalg.norm(ball - joints[:, HEAD], axis=1)
        flying = (distance[1:] > 0.6) & (distance[:-1] > 0.6)
        assert flying.any()
        assert (sign * np.diff(distance)[flying] > 0).all()


def test_mirrored_clips_are_mirror_images() -> None:
    clip = sample_demo_clip(np.random.default_rng(1))
    joints, ball = clip_motion("Throw", Body(), replace(clip, mirrored=False))
    mirrored, mirrored_ball = clip_motion("Throw", Body(), replace(clip, mirrored=True))
    assert ball is not None
    assert mirrored_ball is not None
    left, right = (Camera(70, yaw, 10, np.zeros((1, 2))) for yaw in (-40, 40))
    np.testing.assert_allclose(left(mirrored), right(joints) * [-1, 1], atol=1e-9)
    np.testing.assert_allclose(left(mirrored_ball), right(ball) * [-1, 1], atol=1e-9)
