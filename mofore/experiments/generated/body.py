"""Articulated bodies: people, animals, and creatures with limbs that nobody has seen; and how they move.

A body is a tree of segments. Each segment starts on its parent and turns against it by two angles, each a random
function of time. Axes of a body: x forward, y to its left, z up. Lengths are fractions of the body's size.

Shapes: T frames, S segments, 3 coordinates.
"""

from dataclasses import dataclass, replace

import numpy as np

from mofore.experiments.generated.waves import Array, Event, Motion, Still, Wave, log_uniform, random_event

STILL = Still()


@dataclass(frozen=True)
class Segment:
    """A limb, or a part of one.

    Attributes:
        parent: number of an earlier segment, or -1 for the body's frame.
        at: where on the parent it starts: 0 its start, 1 its end.
        side: distance from there to the left, negative to the right.
        length, radius: of the segment.
        rest: angles in degrees without movement: about the axis to the left (swing), and about the axis forward.
        swing, spread: movements that are added to these angles, in degrees.
        part: parts of the same number have the same colour.
    """

    parent: int
    at: float
    side: float
    length: float
    radius: float
    rest: tuple[float, float]
    part: int
    swing: Motion = STILL
    spread: Motion = STILL


def segment_ends(segments: list[Segment], time_T: Array) -> tuple[Array, Array]:
    """Start and end of each segment in the body's frame: two arrays [S, T, 3]."""
    frames = len(time_T)
    starts: list[Array] = []
    ends: list[Array] = []
    rotations: list[Array] = []
    for s in segments:
        turn = _rotation(1, s.rest[0] + s.swing(time_T)) @ _rotation(0, s.rest[1] + s.spread(time_T))
        if s.parent < 0:
            rotation, start = turn, np.zeros((frames, 3))
        else:
            above = rotations[s.parent]
            rotation = above @ turn
            start = starts[s.parent] + s.at * (ends[s.parent] - starts[s.parent]) + s.side * above[..., 1]
        starts.append(start)
        ends.append(start + s.length * rotation[..., 2])
        rotations.append(rotation)
    return np.stack(starts), np.stack(ends)


def _rotation(axis: int, degrees_T: Array) -> Array:
    """Right-handed rotation matrices [T, 3, 3] about axis x, y or z (0, 1, 2)."""
    angle_T = np.deg2rad(degrees_T)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    rotation = np.zeros((len(angle_T), 3, 3))
    rotation[:, axis, axis] = 1
    rotation[:, i, i] = rotation[:, j, j] = np.cos(angle_T)
    rotation[:, j, i] = np.sin(angle_T)
    rotation[:, i, j] = -rotation[:, j, i]
    return rotation


def random_body(rng: np.random.Generator) -> list[Segment]:
    """A body with random limbs, which does not move."""
    shape = rng.choice(np.array([_biped, _quadruped, _creature]), p=[0.6, 0.2, 0.2])
    found: list[Segment] = shape(rng)
    return found


def _biped(rng: np.random.Generator) -> list[Segment]:
    trunk = Segment(-1, 0, 0, rng.uniform(0.26, 0.34), rng.uniform(0.06, 0.1), (rng.normal(0, 5), 0), 0)
    body = [trunk, Segment(0, 1.15, 0, 0.1, 0.065, (0, 0), 1)]
    shoulder, hip = rng.uniform(0.08, 0.13), rng.uniform(0.04, 0.07)
    arm, leg = rng.uniform(0.14, 0.18), rng.uniform(0.2, 0.26)
    arm_rest, elbow = (180 + rng.normal(0, 25), abs(rng.normal(10, 15))), -abs(rng.normal(20, 25))
    leg_rest, knee = (180 - abs(rng.normal(0, 15)), abs(rng.normal(4, 6))), abs(rng.normal(5, 15))
    for side in (1, -1):
        first = len(body)
        body += [
            Segment(0, 0.95, side * shoulder, arm, 0.035, (arm_rest[0], side * arm_rest[1]), 2),
            Segment(first, 1, 0, arm, 0.028, (elbow, 0), 3),
            Segment(0, 0, side * hip, leg, 0.05, (leg_rest[0], side * leg_rest[1]), 4),
            Segment(first + 2, 1, 0, leg, 0.038, (knee, 0), rng.choice([4, 3])),
            Segment(first + 3, 1, 0, 0.07, 0.025, (-95, 0), 5),
        ]
    return body


def _quadruped(rng: np.random.Generator) -> list[Segment]:
    length, leg = rng.uniform(0.4, 0.6), rng.uniform(0.12, 0.3)
    body = [Segment(-1, 0, 0, length, rng.uniform(0.08, 0.15), (90 + rng.normal(0, 5), 0), 0)]
    neck = rng.uniform(0.08, 0.3)
    body += [Segment(0, 1, 0, neck, 0.06, (-rng.uniform(20, 80), 0), 0), Segment(1, 1, 0, 0.13, 0.05, (70, 0), 1)]
    body.append(Segment(0, 0, 0, rng.uniform(0.1, 0.3), 0.02, (rng.uniform(100, 200), 0), 1))
    for at in (0.95, 0.05):
        for side in (1, -1):
            first = len(body)
            body += [
                Segment(0, at, side * 0.06, leg, 0.035, (90, 0), 2),
                Segment(first, 1, 0, leg, 0.025, (rng.normal(0, 5), 0), 3),
            ]
    return body


def _creature(rng: np.random.Generator) -> list[Segment]:
    """A trunk with one to four pairs of limbs, anywhere."""
    body = [Segment(-1, 0, 0, rng.uniform(0.2, 0.6), log_uniform(rng, 0.04, 0.16), (rng.uniform(0, 180), 0), 0)]
    for part in range(1, rng.integers(2, 6)):
        at, side = rng.uniform(0, 1), rng.uniform(0, 0.1)
        rest = rng.uniform(0, 360), rng.uniform(0, 60)
        joints, length, radius = rng.integers(1, 4), log_uniform(rng, 0.06, 0.3), log_uniform(rng, 0.015, 0.06)
        for sign in (1, -1):
            for joint in range(joints):
                parent, where = (0, at) if joint == 0 else (len(body) - 1, 1.0)
                angles = (rest[0], sign * rest[1]) if joint == 0 else (rng.normal(0, 30), 0.0)
                body.append(Segment(parent, where, sign * side * (joint == 0), length, radius, angles, part))
    return body


def animate(rng: np.random.Generator, body: list[Segment], seconds: float) -> list[Segment]:
    """Give each segment a movement. The right side does as the left, at once, in turn, or in a way of its own.

    A body's movements share one frequency or multiples of it, as in walking, or happen once, as in getting up.
    """
    hertz, lively = log_uniform(rng, 0.25, 1.8), rng.uniform(0.3, 0.9)
    once = rng.uniform() < 0.3
    beat = rng.uniform(0, 2 * np.pi)
    in_turn = rng.choice([0.0, np.pi])

    def movement(size: float) -> Motion:
        size *= rng.choice([-1, 1])
        if once or rng.uniform() < 0.1:
            return random_event(rng, 2 * size, seconds)
        harmonic = rng.choice([1.0, 2.0, 0.5], p=[0.8, 0.12, 0.08])
        phase = harmonic * beat + rng.choice([0.0, rng.uniform(0, 2 * np.pi)])
        return Wave(size, hertz * harmonic, phase, rng.uniform(-0.6, 0.6))

    moved: list[Segment] = []
    left_of: dict[tuple[float, ...], Segment] = {}
    for s in body:
        twin = left_of.get((s.at, abs(s.side), s.length, s.part, s.radius))
        reach = 45 if s.radius < 0.06 else 15  # degrees; thick parts move less
        moves = rng.uniform() < lively
        size = rng.gamma(2, reach / 3) if moves else abs(rng.normal(0, 2))
        swing, spread = movement(size), movement(size * rng.choice([0.0, rng.uniform(0, 1.5)], p=[0.6, 0.4]))
        if twin is not None and rng.uniform() < 0.75:
            swing, spread = _later(twin.swing, in_turn), _mirrored(_later(twin.spread, in_turn))
        else:
            left_of[(s.at, abs(s.side), s.length, s.part, s.radius)] = replace(s, swing=swing, spread=spread)
        moved.append(replace(s, swing=swing, spread=spread))
    return moved


def _later(motion: Motion, phase: float) -> Motion:
    return replace(motion, phase=motion.phase + phase) if isinstance(motion, Wave) else motion


def _mirrored(motion: Motion) -> Motion:
    return replace(motion, size=-motion.size) if isinstance(motion, Wave | Event) else motion
