"""Random functions of time: how a joint, a body or a camera moves.

Time is in seconds. Shapes: T frames.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Wave:
    """A periodic movement: `size` * sin(phase), where the phase itself may hurry and linger.

    Attributes:
        size: half the distance between the two extremes.
        hertz: periods per second.
        phase: at time 0, in radians.
        skew: 0 is a sine; up to 0.8, the movement is fast in one direction and slow in the other.
    """

    size: float
    hertz: float
    phase: float
    skew: float = 0.0

    def __call__(self, time_T: Array) -> Array:
        angle_T = 2 * np.pi * self.hertz * time_T + self.phase
        return np.asarray(self.size * np.sin(angle_T + self.skew * np.sin(angle_T)))


@dataclass(frozen=True)
class Event:
    """A movement that happens once: from 0 to `size`, and back if `hold` ends in time.

    Attributes:
        size: where the movement ends.
        start: seconds.
        duration: seconds from 0 to `size`.
        hold: seconds before it goes back, with the same duration.
    """

    size: float
    start: float
    duration: float
    hold: float

    def __call__(self, time_T: Array) -> Array:
        there_T = smooth_step((time_T - self.start) / self.duration)
        back_T = smooth_step((time_T - self.start - self.duration - self.hold) / self.duration)
        return self.size * (there_T - back_T)


@dataclass(frozen=True)
class Drift:
    """A steady movement that may speed up or slow down: `speed` * t + `push` * t^2 / 2, with t = time - `middle`."""

    speed: float
    push: float
    middle: float

    def __call__(self, time_T: Array) -> Array:
        t_T = time_T - self.middle
        return self.speed * t_T + self.push * t_T**2 / 2


@dataclass(frozen=True)
class Bounce:
    """A ball's movement: parabolas of this height, one after the other, never below 0."""

    size: float
    hertz: float
    phase: float

    def __call__(self, time_T: Array) -> Array:
        x_T = (self.hertz * time_T + self.phase) % 1
        return 4 * self.size * x_T * (1 - x_T)


@dataclass(frozen=True)
class Still:
    """No movement."""

    def __call__(self, time_T: Array) -> Array:
        return np.zeros_like(time_T)


Motion = Wave | Event | Drift | Bounce | Still


def smooth_step(x: Array) -> Array:
    """0 below 0, 1 above 1, and smooth in between."""
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A random number whose logarithm is uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def random_event(rng: np.random.Generator, size: float, seconds: float) -> Event:
    """A movement that happens once within a video of this many seconds; half of them go back in time."""
    duration = log_uniform(rng, 0.25, 1.6)
    return Event(size, rng.uniform(0.1, 0.75) * seconds, duration, rng.choice([log_uniform(rng, 0.05, 1.5), 99.0]))
