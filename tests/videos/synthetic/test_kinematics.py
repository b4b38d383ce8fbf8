"""Joint positions for any pose and body."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mofore.videos.synthetic.appearance import sample_appearance
from mofore.videos.synthetic.kinematics import (
    ANKLE,
    ELBOW,
    HAND,
    HEAD,
    HIP,
    KNEE,
    NECK,
    SHOULDER,
    TOE,
    Body,
    Pose,
    joint_positions,
)

ANGLES = ("lean", "sway", "twist", "nod", "arm_swing", "arm_spread", "arm_turn", "elbow", "leg_swing", "leg_spread")


@st.composite
def poses(draw: st.DrawFn) -> Pose:
    """Poses of 3 frames with arbitrary angles."""
    pose = Pose(3)
    for name in (*ANGLES, "knee", "toe"):
        shape = getattr(pose, name).shape
        setattr(pose, name, draw(arrays(np.float64, shape, elements=st.floats(-170, 170))))
    pose.rise = draw(arrays(np.float64, 3, elements=st.floats(0, 0.5)))
    return pose


bodies = st.integers(0, 1000).map(lambda seed: sample_appearance(np.random.default_rng(seed)).body)


@given(poses(), bodies)
def test_limbs_keep_their_length(pose: Pose, body: Body) -> None:
    joints = joint_positions(body, pose)
    lengths = [(NECK, HEAD, body.neck + body.head)]
    for side in (0, 1):
        lengths += [
            (SHOULDER[side], ELBOW[side], body.upper_arm),
            (ELBOW[side], HAND[side], body.forearm),
            (HIP[side], KNEE[side], body.thigh),
            (KNEE[side], ANKLE[side], body.shin),
            (ANKLE[side], TOE[side], body.foot),
        ]
    for a, b, length in lengths:
        np.testing.assert_allclose(np.linalg.norm(joints[:, a] - joints[:, b], axis=1), length, atol=1e-9)


@given(poses(), bodies)
def test_the_lowest_sole_is_as_high_as_the_pose_says(pose: Pose, body: Body) -> None:
    joints = joint_positions(body, pose)
    soles = joints[:, ANKLE + TOE, 2] - body.sole
    np.testing.assert_allclose(soles.min(axis=1), pose.rise, atol=1e-9)


@given(poses(), bodies, st.sampled_from([(1.0, 0.0), (0.0, 1.0), (0.5, 0.5)]))
def test_anchored_feet_stay_in_place(pose: Pose, body: Body, anchor: tuple[float, float]) -> None:
    pose.anchor = anchor
    feet = joint_positions(body, pose)[:, ANKLE, :2]
    np.testing.assert_allclose(feet[:, 0] * anchor[0] + feet[:, 1] * anchor[1], 0, atol=1e-9)


def test_a_pose_of_zeros_stands_upright_about_one_unit_high_and_looks_forward() -> None:
    body = Body()
    joints = joint_positions(body, Pose(1))[0]
    assert 0.95 < joints[HEAD, 2] + body.head < 1.05
    assert joints[SHOULDER[0], 1] > 0 > joints[SHOULDER[1], 1]
    np.testing.assert_allclose(joints[HAND, 0], 0, atol=1e-9)
    assert (joints[TOE, 0] > joints[ANKLE, 0]).all()


def test_positive_angles_move_limbs_in_the_documented_direction() -> None:
    pose = Pose(1)
    pose.lean[:], pose.arm_spread[:], pose.leg_swing[:], pose.knee[:] = 30, 80, 60, 90
    joints = joint_positions(Body(), pose)[0]
    assert joints[NECK, 0] > joints[HIP[0], 0]
    assert joints[ELBOW[0], 1] > joints[SHOULDER[0], 1]
    assert joints[ELBOW[1], 1] < joints[SHOULDER[1], 1]
    assert (joints[KNEE, 0] > joints[HIP, 0]).all()
    assert (joints[ANKLE, 0] < joints[KNEE, 0]).all()
