"""Projection of a figure, and the outlines of its limbs."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from mofore.videos.synthetic.appearance import Appearance, sample_appearance
from mofore.videos.synthetic.figure import SHIFT, Camera, Limb, Part, ball_limb, figure_limbs
from mofore.videos.synthetic.kinematics import HAND, HEAD, Array, Body, Pose, joint_positions

ORIGIN = np.array([[80.0, 100.0]])


@pytest.fixture
def appearance() -> Appearance:
    return replace(sample_appearance(np.random.default_rng(0)), body=Body(), hair_style=0, ball_radius=0.07)


def corners(part: Part, t: int = 0) -> Array:
    """Corners [K, 2] of a part in pixels."""
    return np.asarray(part.corners[t], np.float64).reshape(-1, 2) / (1 << SHIFT)


def limb_corners(limbs: list[Limb]) -> Array:
    return np.concatenate([corners(part) for limb in limbs for part in limb.parts])


def test_camera_projects_the_axes_as_documented() -> None:
    front = Camera(size=50, yaw=0, pitch=0, origin=ORIGIN)
    points = np.array([[[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]], np.float64)
    # From the front, the figure's left is on the right of the frame, up is up, and forward is not visible.
    np.testing.assert_allclose(front(points)[0] - ORIGIN, [[0, 0], [0, 0], [50, 0], [0, -50]], atol=1e-9)
    from_its_left = Camera(size=50, yaw=90, pitch=0, origin=ORIGIN)
    np.testing.assert_allclose(from_its_left(points)[0, 1] - ORIGIN[0], [-50, 0], atol=1e-9)
    looking_down = Camera(size=50, yaw=0, pitch=30, origin=ORIGIN)
    np.testing.assert_allclose(looking_down(points)[0, 1] - ORIGIN[0], [0, 25], atol=1e-9)


def test_camera_moves_with_its_origin_over_time() -> None:
    camera = Camera(size=50, yaw=0, pitch=0, origin=np.array([[0.0, 0.0], [3.0, -4.0]]))
    pixels = camera(np.zeros((2, 5, 3)))
    assert pixels.shape == (2, 5, 2)
    assert (pixels[1] == [3, -4]).all()


def test_a_standing_figure_has_its_height_in_pixels(appearance: Appearance) -> None:
    joints = joint_positions(appearance.body, Pose(1))
    limbs = figure_limbs(joints, appearance, Camera(70, 0, 0, ORIGIN))
    assert len(limbs) == 6  # two arms, two legs, trunk, head
    x, y = limb_corners(limbs).T
    assert 66 < np.ptp(y) < 76
    assert abs(y.max() - ORIGIN[0, 1]) < 3  # the feet are on the ground
    assert abs(x.mean() - ORIGIN[0, 0]) < 2


def test_every_outline_is_a_convex_polygon_in_each_frame(appearance: Appearance) -> None:
    pose = Pose(3)
    pose.arm_spread[:] = np.array([[10, 20], [90, 5], [150, 40]])
    pose.knee[:] = 60
    for limb in figure_limbs(joint_positions(appearance.body, pose), appearance, Camera(70, 45, 10, ORIGIN)):
        assert limb.depth.shape == (3,)
        for outlines, _ in limb.strokes():
            assert len(outlines) == 3
            for outline in outlines:
                hull = cv2.contourArea(cv2.convexHull(outline))
                assert hull > 0
                assert cv2.contourArea(outline) == pytest.approx(hull, rel=0.02)


def test_rims_are_drawn_first_and_are_wider_and_darker() -> None:
    square = np.array([[0, 0], [9, 0], [9, 9], [0, 9]], np.int32)
    bare = Part((1, 2, 3), [square])
    with_rim = Part((100, 200, 50), [square], rim=[square * 2])
    (rim, dark), *parts = Limb([bare, with_rim], np.zeros(1)).strokes()
    assert rim is with_rim.rim
    assert all(a < b for a, b in zip(dark, with_rim.colour, strict=True))
    assert [colour for _, colour in parts] == [bare.colour, with_rim.colour]


def test_the_near_arm_is_closer_than_the_far_arm_and_the_head_than_the_trunk(appearance: Appearance) -> None:
    joints = joint_positions(appearance.body, Pose(1))
    for yaw, near in ((45, 0), (-45, 1)):  # seen from its left, the left arm is near
        limbs = figure_limbs(joints, appearance, Camera(70, yaw, 0, ORIGIN))
        arms = [next(limb for limb in limbs if on_hand(limb, joints, side, yaw)) for side in (0, 1)]
        assert arms[near].depth > arms[1 - near].depth
        trunk, head = limbs[-2:]
        assert head.depth > trunk.depth


def on_hand(limb: Limb, joints: Array, side: int, yaw: float) -> bool:
    """Whether the first part of a limb is the hand of this side."""
    hand = Camera(70, yaw, 0, ORIGIN)(joints[:, HAND[side]])[0]
    return bool(np.abs(corners(limb.parts[0]).mean(axis=0) - hand).max() < 1)


def test_sleeves_and_trousers_have_the_length_asked_for(appearance: Appearance) -> None:
    joints = joint_positions(appearance.body, Pose(1))

    def skin_parts(long: bool) -> int:
        dressed = replace(appearance, long_sleeves=long, long_trousers=long)
        limbs = figure_limbs(joints, dressed, Camera(70, 0, 0, ORIGIN))
        return sum(part.colour == appearance.skin for limb in limbs for part in limb.parts)

    assert skin_parts(long=False) - skin_parts(long=True) == 4  # two forearms and two shins


def test_an_invisible_ball_is_far_outside_the_frame(appearance: Appearance) -> None:
    joints = joint_positions(appearance.body, Pose(2))
    ball = joints[:, HEAD] + [0.2, 0, 0]
    ball[1] = np.nan
    limb = ball_limb(ball, appearance, Camera(70, 0, 0, ORIGIN))
    (part,) = limb.parts
    radius = appearance.ball_radius * 70
    centre = Camera(70, 0, 0, ORIGIN)(ball)[0]
    np.testing.assert_allclose(np.linalg.norm(corners(part) - centre, axis=1), radius, atol=0.1)
    assert (corners(part, 1) < -900).all()
    assert np.isfinite(limb.depth).all()
