"""Forward kinematics of a figure in three dimensions: computes joint positions from joint angles.

Axes of the body: x forward, y to its left, z up. The ground is z = 0. Lengths are fractions of the figure's standing
height, angles are in degrees.

Shapes: T frames, J joints. An axis of length 2 is the side: 0 left, 1 right.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Indices of the joints on the J axis; pairs are (left, right).
PELVIS, NECK, HEAD = 0, 1, 2
SHOULDER, ELBOW, HAND = (3, 4), (5, 6), (7, 8)
HIP, KNEE, ANKLE, TOE = (9, 10), (11, 12), (13, 14), (15, 16)
FACE = 17  # a point on the face, in front of the head's centre
JOINTS = 18


@dataclass(frozen=True)
class Body:
    """Lengths and widths of a figure, as fractions of its height."""

    trunk: float = 0.28
    neck: float = 0.03
    head: float = 0.10  # radius
    shoulder: float = 0.115  # half the width of the shoulders
    upper_arm: float = 0.165
    forearm: float = 0.15
    hip: float = 0.058  # half the width of the hips
    thigh: float = 0.235
    shin: float = 0.225
    foot: float = 0.095
    sole: float = 0.03  # height of the ankle and toe joints above the ground
    girth: float = 1.0  # factor on the thickness of every limb


@dataclass
class Pose:
    """Joint angles of T frames, in degrees. If all are zero, the figure stands with its arms hanging down."""

    frames: int
    lean: Array = field(init=False)  # [T] trunk forward
    sway: Array = field(init=False)  # [T] trunk to the left
    twist: Array = field(init=False)  # [T] shoulders turned to the left
    nod: Array = field(init=False)  # [T] head forward, relative to the trunk
    arm_swing: Array = field(init=False)  # [T, 2] upper arm forward, relative to the trunk
    arm_spread: Array = field(init=False)  # [T, 2] upper arm outward
    arm_turn: Array = field(init=False)  # [T, 2] upper arm turned about its axis; positive bends the elbow inward
    elbow: Array = field(init=False)  # [T, 2] bend
    leg_swing: Array = field(init=False)  # [T, 2] thigh forward
    leg_spread: Array = field(init=False)  # [T, 2] thigh outward
    knee: Array = field(init=False)  # [T, 2] bend
    toe: Array = field(init=False)  # [T, 2] toes up, relative to the ground
    rise: Array = field(init=False)  # [T] height of the lower sole above the ground, as a fraction of the height
    anchor: tuple[float, float] = (0.5, 0.5)  # the feet's mean with these weights stays in place; (0, 0): the hips stay
    flight: Array | None = None  # [T] phase since the ball left the hand; negative: in the hand; nan: invisible

    def __post_init__(self) -> None:
        for name in ("lean", "sway", "twist", "nod", "rise"):
            setattr(self, name, np.zeros(self.frames))
        for name in ("arm_swing", "arm_spread", "arm_turn", "elbow", "leg_swing", "leg_spread", "knee", "toe"):
            setattr(self, name, np.zeros((self.frames, 2)))


def _rotation(axis: int, degrees: Array) -> Array:
    """Return right-handed rotation matrices [..., 3, 3] about axis x, y or z (0, 1, 2)."""
    angle = np.deg2rad(degrees)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    rotation = np.zeros((*angle.shape, 3, 3))
    rotation[..., axis, axis] = 1
    rotation[..., i, i] = rotation[..., j, j] = np.cos(angle)
    rotation[..., j, i] = np.sin(angle)
    rotation[..., i, j] = -rotation[..., j, i]
    return rotation


def joint_positions(body: Body, pose: Pose) -> Array:
    """Compute the positions of all joints.

    The lower sole is `pose.rise` above the ground. The anchored feet stay in place.

    Returns:
        [T, J, 3] in fractions of the figure's height.
    """
    outward = np.tile([1.0, -1.0], (pose.frames, 1))  # [T, 2] sign of the outward direction along y
    joints = np.zeros((pose.frames, JOINTS, 3))
    trunk = _rotation(1, pose.lean) @ _rotation(0, -pose.sway) @ _rotation(2, pose.twist)
    head = trunk @ _rotation(1, pose.nod)
    joints[:, NECK] = body.trunk * trunk[..., 2]
    joints[:, HEAD] = joints[:, NECK] + (body.neck + body.head) * head[..., 2]
    joints[:, FACE] = joints[:, HEAD] + body.head * head[..., 0]

    arm = trunk[:, None] @ _rotation(1, -pose.arm_swing) @ _rotation(0, outward * pose.arm_spread)
    forearm = arm @ _rotation(2, -outward * pose.arm_turn) @ _rotation(1, -pose.elbow)
    sideways = outward[..., None] * trunk[:, None, :, 1]
    joints[:, SHOULDER] = joints[:, None, NECK] + body.shoulder * sideways - 0.035 * trunk[:, None, :, 2]
    joints[:, ELBOW] = joints[:, SHOULDER] - body.upper_arm * arm[..., 2]
    joints[:, HAND] = joints[:, ELBOW] - body.forearm * forearm[..., 2]

    thigh = _rotation(1, -pose.leg_swing) @ _rotation(0, outward * pose.leg_spread)
    shin = thigh @ _rotation(1, pose.knee)
    foot = _rotation(2, outward * (12 + pose.leg_spread / 2)) @ _rotation(1, -pose.toe)
    joints[:, HIP, 1] = body.hip * outward
    joints[:, KNEE] = joints[:, HIP] - body.thigh * thigh[..., 2]
    joints[:, ANKLE] = joints[:, KNEE] - body.shin * shin[..., 2]
    joints[:, TOE] = joints[:, ANKLE] + body.foot * foot[..., 0]

    place = -np.einsum("s,tsc->tc", pose.anchor, joints[:, ANKLE])
    place[:, 2] = pose.rise + body.sole - joints[:, ANKLE + TOE, 2].min(axis=1)
    return joints + place[:, None]
