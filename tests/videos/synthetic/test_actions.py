"""The fourteen actions: continuous, physically possible, and in two pairs each other's reverse."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mofore.videos.synthetic.actions import ACTIONS
from mofore.videos.synthetic.kinematics import (
    ANKLE,
    HAND,
    HEAD,
    HIP,
    KNEE,
    PELVIS,
    TOE,
    Array,
    Body,
    Pose,
    joint_positions,
)

PHASES = arrays(np.float64, 5, elements=st.floats(0, 1, exclude_max=True))
AMPLITUDES = st.floats(0.7, 1.4)
NAMES = st.sampled_from(list(ACTIONS))
PERIODIC = [name for name, action in ACTIONS.items() if action.seconds is not None]


def same(a: Pose, b: Pose) -> bool:
    """Return whether two poses are equal in all fields."""
    pairs = [(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(Pose)]
    return all(x is y is None or np.allclose(x, y, equal_nan=True) for x, y in pairs)


def test_the_fourteen_actions() -> None:
    assert sorted(ACTIONS) == list(ACTIONS)
    expected = "Walk, Run, JumpingJack, Wave, Clap, Squat, Bow, Punch, Kick, Jump, SitDown, StandUp, Throw, Catch"
    assert set(ACTIONS) == set(expected.split(", "))


@given(phase=PHASES, amplitude=AMPLITUDES)
def test_the_actions_of_a_pair_are_each_others_reverse(phase: Array, amplitude: float) -> None:
    assert same(ACTIONS["StandUp"].pose(phase, amplitude), ACTIONS["SitDown"].pose(1 - phase, amplitude))
    assert same(ACTIONS["Catch"].pose(phase, amplitude), ACTIONS["Throw"].pose((1 - phase) % 1, amplitude))


@pytest.mark.parametrize("pair", [("SitDown", "StandUp"), ("Throw", "Catch")])
def test_the_actions_of_a_pair_differ(pair: tuple[str, str]) -> None:
    phase = np.linspace(0, 0.99, 50)
    assert not same(ACTIONS[pair[0]].pose(phase, 1.0), ACTIONS[pair[1]].pose(phase, 1.0))


@given(name=st.sampled_from(PERIODIC), amplitude=AMPLITUDES)
def test_periodic_actions_end_where_they_start(name: str, amplitude: float) -> None:
    pose = ACTIONS[name].pose(np.array([0.0, 1 - 1e-9]), amplitude)
    joints = joint_positions(Body(), pose)
    np.testing.assert_allclose(joints[0], joints[1], atol=1e-5)


@pytest.mark.slow
@given(name=NAMES, amplitude=AMPLITUDES)
def test_movements_are_continuous(name: str, amplitude: float) -> None:
    joints = joint_positions(Body(), ACTIONS[name].pose(np.linspace(0, 1, 2001)[:-1], amplitude))
    assert np.abs(np.diff(joints, axis=0)).max() < 0.01


@given(name=NAMES, phase=PHASES, amplitude=AMPLITUDES)
def test_no_joint_is_below_the_ground(name: str, phase: Array, amplitude: float) -> None:
    body = Body()
    joints = joint_positions(body, ACTIONS[name].pose(phase, amplitude))
    assert (joints[:, ANKLE + TOE, 2] >= body.sole - 1e-9).all()
    assert (joints[:, KNEE + HIP + HAND + (PELVIS, HEAD), 2] > 0.05).all()


@given(name=NAMES, phase=PHASES, amplitude=AMPLITUDES)
def test_knees_and_elbows_bend_only_in_their_natural_direction(name: str, phase: Array, amplitude: float) -> None:
    pose = ACTIONS[name].pose(phase, amplitude)
    for bend in (pose.knee, pose.elbow):
        assert (bend >= 0).all()
        assert (bend <= 150).all()


@pytest.mark.slow
@given(amplitude=AMPLITUDES)
def test_defining_features_of_some_actions(amplitude: float) -> None:
    phase = np.linspace(0, 0.99, 100)
    z = {name: joint_positions(Body(), ACTIONS[name].pose(phase, amplitude))[..., 2] for name in ACTIONS}
    assert np.ptp(z["Squat"][:, PELVIS]) > 0.1  # squats lower the hips
    assert z["Jump"][:, ANKLE].min(axis=1).max() > 0.08  # both feet leave the ground
    assert z["Walk"][:, ANKLE + TOE].min(axis=1).max() < 0.04  # one foot is always on the ground
    assert (z["Wave"][:, HAND[0]] > z["Wave"][:, HAND[1]]).all()
    assert (np.diff(z["SitDown"][:, PELVIS]) < 0).all()
    assert z["Kick"][:, ANKLE[0]].max() > 0.2 > z["Kick"][:, ANKLE[1]].max()
