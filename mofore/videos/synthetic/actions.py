"""Defines the fourteen actions: the figure's joint angles as functions of phase.

An action maps phases [T] in [0, 1) and an amplitude (about 1) to a Pose of T frames. All actions are periodic except
SitDown and StandUp, which run once from phase 0 to phase 1. StandUp is SitDown played backwards, and Catch is Throw
played backwards. Side 0 is the leading side (it kicks, throws and waves). A mirrored figure leads with its other side.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mofore.videos.synthetic.kinematics import Array, Pose

RELEASE = 0.66  # phase at which a thrown ball leaves the hand
BALL_OUT_OF_SIGHT = 0.98  # phase from which a thrown ball is outside the picture


def _keyframes(phase: Array, *keys: tuple[float, float]) -> Array:
    """Interpolate between (phase, value) keyframes by smoothstep, with slope 0 at each. The curve is periodic."""
    times = np.array([k[0] for k in keys] + [1.0])
    values = np.array([k[1] for k in keys] + [keys[0][1]])
    i = np.clip(np.searchsorted(times, phase, side="right") - 1, 0, len(keys) - 1)
    x = (phase - times[i]) / (times[i + 1] - times[i])
    return values[i] + (values[i + 1] - values[i]) * x * x * (3 - 2 * x)


def _bump(phase: Array, centre: float, sharpness: float) -> Array:
    """Return a periodic bump of height 1 at `centre`. A larger sharpness makes it narrower."""
    return np.exp(sharpness * (np.cos(2 * np.pi * (phase - centre)) - 1))


def _side_phases(phase: Array) -> Array:
    """Return the phases [T, 2] of the left and the right side, which are half a period apart."""
    return np.stack([phase, (phase + 0.5) % 1], axis=1)


def walk(phase: Array, amplitude: float) -> Pose:
    pose, side = Pose(len(phase), anchor=(0, 0)), _side_phases(phase)
    stride = amplitude * np.cos(2 * np.pi * side)  # 1 at heel strike
    pose.leg_swing[:] = 3 + 25 * stride
    pose.knee[:] = 5 + 10 * _bump(side, 0.14, 5) + 55 * amplitude * _bump(side, 0.72, 4)
    pose.toe[:] = 16 * _bump(side, 0.98, 6) - 38 * _bump(side, 0.58, 6)
    pose.arm_swing[:] = -26 * stride
    pose.arm_spread[:] = 7
    pose.elbow[:] = 18 - 10 * stride
    pose.lean[:] = 3
    pose.twist[:] = 6 * stride[:, 0]
    return pose


def run(phase: Array, amplitude: float) -> Pose:
    pose, side = Pose(len(phase), anchor=(0, 0)), _side_phases(phase)
    stride = amplitude * np.cos(2 * np.pi * side)
    pose.leg_swing[:] = 14 + 35 * stride
    pose.knee[:] = 18 + 90 * amplitude * _bump(side, 0.70, 2.5)
    pose.toe[:] = -45 * _bump(side, 0.58, 3)
    pose.arm_swing[:] = -42 * stride
    pose.arm_spread[:] = 12
    pose.arm_turn[:] = 15
    pose.elbow[:] = 95 - 12 * stride
    pose.lean[:] = 12
    pose.twist[:] = 12 * stride[:, 0]
    pose.rise[:] = 0.06 * amplitude * np.clip(np.cos(4 * np.pi * (phase - 0.42)), 0, None)
    return pose


def jumping_jack(phase: Array, amplitude: float) -> Pose:
    pose = Pose(len(phase))
    wide = _keyframes(phase, (0, 0), (0.45, 1), (0.55, 1))[:, None]
    hop = np.clip(-np.cos(4 * np.pi * phase), 0, None)
    pose.arm_spread[:] = 8 + min(150 * amplitude, 165) * wide
    pose.elbow[:] = 14
    pose.arm_turn[:] = -60 * wide
    pose.leg_spread[:] = 2 + 30 * amplitude * wide
    pose.knee[:] = 8 + 12 * (1 - hop[:, None])
    pose.leg_swing[:] = pose.knee / 2
    pose.toe[:] = -25 * hop[:, None]
    pose.rise[:] = 0.025 * amplitude * hop
    return pose


def wave(phase: Array, amplitude: float) -> Pose:
    pose = Pose(len(phase))
    beat = np.sin(2 * np.pi * phase)
    pose.arm_spread[:, 0] = 112 + 10 * amplitude * beat
    pose.arm_turn[:, 0] = -90
    pose.elbow[:, 0] = 60 - 42 * amplitude * beat
    pose.arm_spread[:, 1] = 8
    pose.elbow[:, 1] = 12
    pose.sway[:] = -3 + 2.5 * beat
    pose.nod[:] = -4
    return pose


def clap(phase: Array, amplitude: float) -> Pose:
    pose = Pose(len(phase))
    apart = _keyframes(phase, (0, 0), (0.5, 1))[:, None] * amplitude
    pose.arm_swing[:] = 48 + 6 * apart
    pose.arm_spread[:] = 4 + 30 * apart
    pose.arm_turn[:] = 46 - 40 * apart
    pose.elbow[:] = 72 - 8 * apart
    pose.nod[:] = 6
    return pose


def squat(phase: Array, amplitude: float) -> Pose:
    pose = Pose(len(phase))
    depth = amplitude * _keyframes(phase, (0, 0), (0.45, 1), (0.55, 1))[:, None]
    pose.leg_swing[:] = 78 * depth
    pose.knee[:] = 106 * depth
    pose.leg_spread[:] = 12
    pose.lean[:] = 36 * depth[:, 0]
    pose.nod[:] = -26 * depth[:, 0]
    pose.arm_swing[:] = 8 + 105 * depth
    pose.elbow[:] = 10
    pose.arm_spread[:] = 6
    return pose


def bow(phase: Array, amplitude: float) -> Pose:
    pose = Pose(len(phase))
    depth = amplitude * _keyframes(phase, (0, 0), (0.08, 0), (0.45, 1), (0.62, 1))
    pose.lean[:] = 82 * depth
    pose.nod[:] = 16 * depth
    pose.leg_swing[:] = 7 * depth[:, None]
    pose.arm_swing[:] = 28 * depth[:, None]
    pose.arm_spread[:] = 5
    pose.elbow[:] = 8
    return pose


def punch(phase: Array, amplitude: float) -> Pose:
    pose, side = Pose(len(phase)), _side_phases(phase)
    strike = amplitude * _keyframes(side, (0, 0), (0.14, 0), (0.25, 1), (0.30, 1), (0.5, 0))
    pose.arm_swing[:] = 28 + 60 * strike
    pose.arm_spread[:] = 12 - 8 * strike
    pose.arm_turn[:] = 28 - 12 * strike
    pose.elbow[:] = np.clip(132 - 124 * strike, 4, None)
    pose.twist[:] = 28 * (strike[:, 1] - strike[:, 0])
    pose.lean[:] = 6 + 7 * strike.sum(axis=1)
    pose.leg_swing[:] = [24, -6]
    pose.knee[:] = [22, 22]
    pose.leg_spread[:] = 8
    return pose


def kick(phase: Array, amplitude: float) -> Pose:
    pose = Pose(len(phase), anchor=(0, 1))
    lift = _keyframes(phase, (0, 0), (0.12, 0), (0.38, 1), (0.56, 1), (0.88, 0))
    snap = _keyframes(phase, (0, 0), (0.30, 0), (0.45, 1), (0.52, 1), (0.66, 0))
    pose.leg_swing[:, 0] = 88 * amplitude * lift
    pose.knee[:, 0] = 10 + 92 * lift * (1 - snap)
    pose.toe[:, 0] = 55 * snap - 15 * lift
    pose.leg_swing[:, 1] = 5
    pose.knee[:, 1] = 10
    pose.lean[:] = 4 - 24 * amplitude * snap
    pose.arm_swing[:] = 32 - 14 * snap[:, None]
    pose.arm_spread[:] = 18 + 14 * snap[:, None]
    pose.elbow[:] = 105 - 35 * snap[:, None]
    pose.arm_turn[:] = 20
    return pose


def jump(phase: Array, amplitude: float) -> Pose:
    pose = Pose(len(phase))
    crouch = amplitude * _keyframes(phase, (0, 0), (0.26, 1), (0.40, 0), (0.72, 0), (0.84, 0.7))[:, None]
    air = np.clip((phase - 0.38) / 0.36, 0, 1)
    air = 4 * air * (1 - air)
    reach = _keyframes(phase, (0, 5), (0.24, -52), (0.46, 100), (0.60, 92), (0.84, 15))
    pose.leg_swing[:] = 62 * crouch + 14 * air[:, None]
    pose.knee[:] = 100 * crouch + 28 * air[:, None]
    pose.toe[:] = -45 * air[:, None]
    pose.lean[:] = 34 * crouch[:, 0] - 4 * air
    pose.arm_swing[:] = amplitude * reach[:, None]
    pose.arm_spread[:] = 8
    pose.elbow[:] = 14
    pose.rise[:] = 0.14 * amplitude * air
    return pose


def sit_down(phase: Array, amplitude: float) -> Pose:
    pose = Pose(len(phase))
    middle = np.sin(np.pi * phase)  # 1 halfway down, 0 at both ends
    pose.leg_swing[:] = (106 * phase)[:, None]
    pose.knee[:] = (118 * phase + 14 * middle)[:, None]
    pose.leg_spread[:] = 6
    pose.lean[:] = 2 * phase + 46 * amplitude * middle
    pose.nod[:] = -14 * amplitude * middle
    pose.arm_swing[:] = (18 * phase + 62 * amplitude * middle)[:, None]
    pose.arm_spread[:] = 6
    pose.elbow[:] = (10 + 48 * phase)[:, None]
    pose.arm_turn[:] = 10
    return pose


def stand_up(phase: Array, amplitude: float) -> Pose:
    return sit_down(1 - phase, amplitude)


def throw(phase: Array, amplitude: float) -> Pose:
    """Move the empty hand slowly behind the back, bring it over the shoulder with a ball, and throw forward."""
    pose = Pose(len(phase))
    pose.arm_swing[:, 0] = _keyframes(phase, (0, 20), (0.32, -38), (0.39, -38), (0.53, 105), (0.67, 125), (0.78, 45))
    pose.arm_spread[:, 0] = _keyframes(phase, (0, 8), (0.32, 14), (0.39, 16), (0.53, 62), (0.68, 18), (0.76, 5))
    pose.elbow[:, 0] = _keyframes(phase, (0, 12), (0.32, 62), (0.39, 62), (0.53, 112), (0.67, 12), (0.78, 18))
    pose.arm_turn[:, 0] = _keyframes(phase, (0, 10), (0.32, 100), (0.39, 100), (0.53, -10), (0.68, 0))
    pose.twist[:] = amplitude * _keyframes(phase, (0, 0), (0.48, 34), (0.56, 34), (0.70, -30), (0.76, -30))
    pose.lean[:] = amplitude * _keyframes(phase, (0, 2), (0.52, -14), (0.70, 16), (0.76, 16))
    pose.arm_swing[:, 1] = amplitude * _keyframes(phase, (0, 5), (0.52, 55), (0.70, -15))
    pose.arm_spread[:, 1] = 12
    pose.elbow[:, 1] = 25
    pose.leg_swing[:] = np.stack([-8 + 0 * phase, 8 + _keyframes(phase, (0, 0), (0.52, 0), (0.70, 12))], axis=1)
    pose.knee[:] = 8 + _keyframes(phase, (0, 0), (0.52, 4), (0.70, 14))[:, None]
    pose.leg_spread[:] = 6
    pose.flight = np.where((phase > 0.35) & (phase < BALL_OUT_OF_SIGHT), phase - RELEASE, np.nan)
    return pose


def catch(phase: Array, amplitude: float) -> Pose:
    return throw((1 - phase) % 1, amplitude)


@dataclass(frozen=True)
class Action:
    """An action.

    Attributes:
        pose: function of phases [T] and amplitude.
        seconds: duration of one period at speed 1; None: the action runs once per video.
    """

    pose: Callable[[Array, float], Pose]
    seconds: float | None


ACTIONS = {
    "Bow": Action(bow, 1.5),
    "Catch": Action(catch, 1.3),
    "Clap": Action(clap, 0.7),
    "Jump": Action(jump, 1.15),
    "JumpingJack": Action(jumping_jack, 0.85),
    "Kick": Action(kick, 1.1),
    "Punch": Action(punch, 1.0),
    "Run": Action(run, 0.65),
    "SitDown": Action(sit_down, None),
    "Squat": Action(squat, 1.3),
    "StandUp": Action(stand_up, None),
    "Throw": Action(throw, 1.3),
    "Walk": Action(walk, 1.0),
    "Wave": Action(wave, 0.8),
}
