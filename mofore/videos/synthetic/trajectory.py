"""The motion of a clip: its draws applied to an action and a body, as joints and ball in three dimensions."""

import numpy as np

from mofore.videos.synthetic.actions import ACTIONS, RELEASE
from mofore.videos.synthetic.clip import FPS, Clip
from mofore.videos.synthetic.kinematics import HAND, Array, Body, Pose, joint_positions

BALL_SPEED = np.array([4.5, 0.0, 3.4])  # on leaving the hand, figure's heights per unit of phase
BALL_FALL = np.array([0.0, 0.0, 3.0])  # figure's heights per squared unit of phase
BALL_IN_HAND = np.array([0.03, 0.0, 0.02])


def clip_phase(action: str, clip: Clip) -> Array:
    """Phase [T] of an action in a clip."""
    seconds = ACTIONS[action].seconds
    if seconds is None:
        return clip.once
    return np.asarray((clip.start + np.cumsum(clip.speed) / (FPS * seconds)) % 1)


def clip_motion(action: str, body: Body, clip: Clip) -> tuple[Array, Array | None]:
    """Joints [T, J, 3] and, if the action has one, ball [T, 3] (nan: not to be seen), in shares of the figure's height.

    Where the figure stands is the origin.
    """
    pose = ACTIONS[action].pose(clip_phase(action, clip), clip.amplitude)
    joints = joint_positions(body, _fidget(pose, clip.posture + clip.idle))
    flip = np.array([1, -1, 1]) if clip.mirrored else np.ones(3)
    if pose.flight is None:
        return joints * flip, None
    thrower = _fidget(ACTIONS["Throw"].pose(np.array([RELEASE]), clip.amplitude), clip.posture[None])
    start = joint_positions(body, thrower)[0, HAND[0]] + BALL_IN_HAND
    since = pose.flight[:, None]
    flying = start + since * BALL_SPEED - since**2 * BALL_FALL
    ball = np.where(since < 0, joints[:, HAND[0]] + BALL_IN_HAND, flying)
    ball[np.isnan(pose.flight)] = np.nan
    return joints * flip, ball * flip


def _fidget(pose: Pose, offsets: Array) -> Pose:
    """Add offsets [T, 12] in degrees to trunk, head and arms."""
    pose.lean += offsets[:, 0] / 2
    pose.sway += offsets[:, 1] / 2
    pose.twist += offsets[:, 2]
    pose.nod += offsets[:, 3]
    pose.arm_swing += offsets[:, 4:6]
    pose.arm_spread += offsets[:, 6:8]
    pose.arm_turn += offsets[:, 8:10]
    pose.elbow += offsets[:, 10:12]
    return pose
