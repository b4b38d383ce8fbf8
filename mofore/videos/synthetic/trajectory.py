"""Computes the motion in a demo video: positions of joints and ball for an action, a body and the video's properties.

Shapes: T frames, J joints.
"""

import numpy as np

from mofore.videos.synthetic.actions import ACTIONS, RELEASE
from mofore.videos.synthetic.clip import FPS, DemoClip
from mofore.videos.synthetic.kinematics import HAND, Array, Body, Pose, joint_positions

# Lengths are fractions of the figure's height, times are in units of phase; axes as in kinematics.
BALL_SPEED = np.array([4.5, 0.0, 3.4])  # velocity when the ball leaves the hand
BALL_FALL = np.array([0.0, 0.0, 3.0])  # half the acceleration of gravity
BALL_IN_HAND = np.array([0.03, 0.0, 0.02])  # position relative to the hand


def clip_phase(action: str, clip: DemoClip) -> Array:
    """Return the phases [T] of an action in a video."""
    seconds = ACTIONS[action].seconds
    if seconds is None:
        return clip.once_phase
    return np.asarray((clip.start_phase + np.cumsum(clip.speed) / (FPS * seconds)) % 1)


def clip_motion(action: str, body: Body, clip: DemoClip) -> tuple[Array, Array | None]:
    """Compute the motion of the figure and, for Throw and Catch, of the ball.

    Args:
        action: a name in ACTIONS.
        body: of the figure.
        clip: random properties of the video.

    Returns:
        Joints [T, J, 3], and the ball [T, 3] (nan where it is not visible) or None. Units are fractions of the
        figure's height. The origin is the point on the ground where the figure stands.
    """
    pose = ACTIONS[action].pose(clip_phase(action, clip), clip.amplitude)
    joints = joint_positions(body, _add_offsets(pose, clip.posture + clip.idle))
    flip = np.array([1, -1, 1]) if clip.mirrored else np.ones(3)
    if pose.flight is None:
        return joints * flip, None
    thrower = _add_offsets(ACTIONS["Throw"].pose(np.array([RELEASE]), clip.amplitude), clip.posture[None])
    start = joint_positions(body, thrower)[0, HAND[0]] + BALL_IN_HAND
    since = pose.flight[:, None]
    flying = start + since * BALL_SPEED - since**2 * BALL_FALL
    ball = np.where(since < 0, joints[:, HAND[0]] + BALL_IN_HAND, flying)
    ball[np.isnan(pose.flight)] = np.nan
    return joints * flip, ball * flip


def _add_offsets(pose: Pose, offsets: Array) -> Pose:
    """Add offsets [T, 12] in degrees to the angles of trunk, head and arms, in place. Lean and sway get half."""
    pose.lean += offsets[:, 0] / 2
    pose.sway += offsets[:, 1] / 2
    pose.twist += offsets[:, 2]
    pose.nod += offsets[:, 3]
    pose.arm_swing += offsets[:, 4:6]
    pose.arm_spread += offsets[:, 6:8]
    pose.arm_turn += offsets[:, 8:10]
    pose.elbow += offsets[:, 10:12]
    return pose
