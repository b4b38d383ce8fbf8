"""Random functions of time: what each promises, for any values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mofore.experiments.generated.waves import Bounce, Drift, Event, Still, Wave, log_uniform, random_event

TIME_T = np.linspace(0, 4, 401)
sizes, rates, phases = st.floats(0.01, 100), st.floats(0.1, 4), st.floats(0, 6.3)


@given(sizes, rates, phases, st.floats(-0.8, 0.8))
def test_a_wave_repeats_and_stays_within_its_size(size: float, hertz: float, phase: float, skew: float) -> None:
    wave = Wave(size, hertz, phase, skew)
    assert np.abs(wave(TIME_T)).max() <= size * (1 + 1e-9)
    np.testing.assert_allclose(wave(TIME_T + 1 / hertz), wave(TIME_T), atol=1e-6 * size)


@given(sizes, st.floats(0, 2), st.floats(0.1, 1), st.floats(0, 1))
def test_an_event_goes_to_its_size_and_back(size: float, start: float, duration: float, hold: float) -> None:
    event = Event(size, start, duration, hold)
    at = np.array([start, start + duration, start + duration + hold, start + 2 * duration + hold])
    np.testing.assert_allclose(event(at), [0, size, size, 0], atol=1e-9 * size)
    assert event(TIME_T).min() >= -1e-9 * size
    assert event(TIME_T).max() <= size * (1 + 1e-9)


@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(0, 4))
def test_a_drift_has_its_speed_in_the_middle(speed: float, push: float, middle: float) -> None:
    drift, dt = Drift(speed, push, middle), 1e-4
    before, there, after = drift(np.array([middle - dt, middle, middle + dt]))
    assert there == 0
    assert (after - before) / (2 * dt) == pytest.approx(speed, abs=1e-6)


@given(sizes, rates, st.floats(0, 1))
def test_a_ball_never_falls_through_the_ground(size: float, hertz: float, phase: float) -> None:
    height_T = Bounce(size, hertz, phase)(TIME_T)
    assert height_T.min() >= 0
    assert height_T.max() <= size * (1 + 1e-9)


def test_what_is_still_does_not_move() -> None:
    assert not Still()(TIME_T).any()


@given(st.integers(0, 2**31), st.floats(1, 60))
def test_random_events_start_within_the_video(seed: int, seconds: float) -> None:
    event = random_event(np.random.default_rng(seed), 1.0, seconds)
    assert 0 < event.start < seconds
    assert 0.5 <= log_uniform(np.random.default_rng(seed), 0.5, 2) <= 2
