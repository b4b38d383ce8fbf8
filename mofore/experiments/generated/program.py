"""What happens in a video: who moves, where to and how, and what the camera does. How it all looks comes later.

A program can be drawn again and again, each time with other colours, bodies and backgrounds (see draw.py).

Lengths on the picture are fractions of its height, the origin is its centre, x goes right and y down. Time is in
seconds.
"""

from dataclasses import dataclass

import numpy as np

from mofore.experiments.generated.body import Segment, animate, random_body
from mofore.experiments.generated.waves import Bounce, Drift, Motion, Still, Wave, log_uniform, random_event


@dataclass(frozen=True)
class Path:
    """How something moves across the picture: sums of motions, added to where it is at first.

    Attributes:
        x, y: position at first.
        size: size of the thing.
        across, down: movements.
        growth: of the logarithm of the size: it comes nearer or goes away.
        turn: rotation in the picture, in degrees.
        yaw: rotation about the upright axis, in degrees; 0 looks to the right, 90 to the viewer.
    """

    x: float
    y: float
    size: float
    across: tuple[Motion, ...]
    down: tuple[Motion, ...]
    growth: Motion
    turn: Motion
    yaw: tuple[float, Motion]


@dataclass(frozen=True)
class Actor:
    """An articulated body on its path."""

    body: list[Segment]
    path: Path


@dataclass(frozen=True)
class Flow:
    """A part of the picture that moves within itself: water, leaves, a crowd, rain.

    Attributes:
        top, bottom: the part, as fractions of the picture's height from its top.
        across, down: speed of its texture per second.
        swell: a wave that bends the texture, as a displacement.
        length: wavelength of the swell.
    """

    top: float
    bottom: float
    across: float
    down: float
    swell: Wave
    length: float


@dataclass(frozen=True)
class Program:
    """All that happens in a video."""

    actors: list[Actor]
    things: list[Path]
    flow: Flow | None
    camera_across: tuple[Motion, ...]
    camera_down: tuple[Motion, ...]
    zoom: Motion
    roll: Motion
    light: Motion


def random_program(setting: np.random.Generator, action: np.random.Generator, seconds: float) -> Program:
    """A program for videos of this many seconds.

    Args:
        setting: decides who is there, where they go, what flows and what the camera does.
        action: decides how bodies move their limbs, and all about rigid things. Programs that differ only in this are
            hard to tell apart, so they are good negatives of each other.
        seconds: length of the videos.
    """
    n_actors = setting.choice([0, 1, 2, 3, 5], p=[0.1, 0.48, 0.25, 0.1, 0.07])
    size = log_uniform(setting, 0.45, 1.5) if n_actors < 3 else log_uniform(setting, 0.3, 0.8)
    together = setting.uniform() < 0.4  # all actors do the same
    actors: list[Actor] = []
    for number in range(n_actors):
        path = _random_path(setting, seconds, size * log_uniform(setting, 0.85, 1.2))
        body = animate(action, random_body(setting), seconds)
        if number and together:
            body, path = actors[0].body, _beside(setting, actors[0].path)
        actors.append(Actor(body, path))
    camera = _random_camera(setting, seconds)
    flow = _random_flow(setting) if setting.uniform() < 0.2 else None
    light = Wave(setting.gamma(1, 0.04), log_uniform(setting, 0.1, 3), setting.uniform(0, 6))
    n_things = setting.choice([0, 1, 2, 4], p=[0.55, 0.25, 0.15, 0.05]) if n_actors else setting.integers(1, 5)
    things = [_random_path(action, seconds, log_uniform(action, 0.05, 0.6), rolls=True) for _ in range(n_things)]
    return Program(actors, things, flow, *camera, light)


def _random_path(rng: np.random.Generator, seconds: float, size: float, rolls: bool = False) -> Path:
    across: list[Motion] = []
    down: list[Motion] = []
    growth: Motion = Still()
    kinds = ["stays", "travels", "swings", "bounces", "circles", "comes", "goes once"]
    shares = [0, 0.4, 0.1, 0.3, 0.1, 0, 0.1] if rolls else [0.3, 0.25, 0.12, 0.1, 0.05, 0.08, 0.1]
    kind = rng.choice(kinds, p=shares)
    hertz, middle = log_uniform(rng, 0.25, 1.6), rng.uniform(0.3, 0.7) * seconds
    match kind:
        case "travels":
            across.append(Drift(rng.choice([-1, 1]) * log_uniform(rng, 0.05, 0.6), rng.normal(0, 0.1), middle))
            down.append(Drift(rng.normal(0, 0.08), rng.choice([0, rng.normal(0, 0.3)]), middle))
        case "swings":
            across.append(Wave(log_uniform(rng, 0.02, 0.3), hertz, rng.uniform(0, 6), rng.uniform(-0.6, 0.6)))
        case "bounces":
            down.append(Bounce(-log_uniform(rng, 0.03, 0.6), hertz, rng.uniform()))
            across.append(Drift(rng.choice([0, rng.normal(0, 0.3)]), 0, middle))
        case "circles":
            radius, phase = log_uniform(rng, 0.05, 0.4), rng.uniform(0, 6)
            across.append(Wave(radius, hertz / 2, phase))
            down.append(Wave(radius * rng.uniform(0.2, 1), hertz / 2, phase + rng.choice([-1, 1]) * np.pi / 2))
        case "comes":
            growth = Drift(rng.choice([-1, 1]) * log_uniform(rng, 0.06, 0.4), 0, middle)
        case "goes once":
            across.append(random_event(rng, rng.normal(0, 0.3), seconds))
            down.append(random_event(rng, rng.normal(0, 0.2), seconds))
    down.append(Wave(abs(rng.normal(0, 0.012)), 2 * hertz, rng.uniform(0, 6)))
    turn: Motion = Wave(abs(rng.normal(0, 4)), hertz, rng.uniform(0, 6))
    if rng.uniform() < (0.5 if rolls else 0.07):
        turn = Drift(rng.choice([-1, 1]) * log_uniform(rng, 20, 250), 0, 0)
    facing = rng.choice([0.0, 180.0, 90.0, rng.uniform(0, 360)], p=[0.35, 0.35, 0.15, 0.15])
    twist: Motion = random_event(rng, rng.normal(0, 90), seconds) if rng.uniform() < 0.1 else Still()
    if rng.uniform() < 0.05:
        twist = Drift(rng.choice([-1, 1]) * log_uniform(rng, 20, 150), 0, 0)
    if kind == "travels" and not rolls and rng.uniform() < 0.8:  # looks to where it goes
        facing = 0.0 if across[0].speed > 0 else 180.0  # type: ignore[union-attr]
    y = rng.uniform(-0.35, 0.35) if rolls else rng.normal(0.08, 0.12)
    return Path(rng.normal(0, 0.25), y, size, tuple(across), tuple(down), growth, turn, (facing, twist))


def _beside(rng: np.random.Generator, path: Path) -> Path:
    """A path like this one, some distance away."""
    x, y = path.x + rng.choice([-1, 1]) * rng.uniform(0.15, 0.6), path.y + rng.normal(0, 0.08)
    facing = path.yaw[0] if rng.uniform() < 0.6 else 180 - path.yaw[0]
    return Path(x, y, path.size, path.across, path.down, path.growth, path.turn, (facing, path.yaw[1]))


Camera = tuple[tuple[Motion, ...], tuple[Motion, ...], Motion, Motion]


def _random_camera(rng: np.random.Generator, seconds: float) -> Camera:
    """Movements of the picture: across, down, of the logarithm of the zoom, and of the roll in degrees."""
    across: list[Motion] = []
    down: list[Motion] = []
    zoom: Motion = Still()
    roll: Motion = Still()
    middle = rng.uniform(0.3, 0.7) * seconds
    if rng.uniform() < 0.3:  # it pans
        across.append(Drift(rng.choice([-1, 1]) * log_uniform(rng, 0.02, 0.4), rng.normal(0, 0.05), middle))
        down.append(Drift(rng.normal(0, 0.04), 0, middle))
    if rng.uniform() < 0.12:
        across.append(random_event(rng, rng.normal(0, 0.4), seconds))
    if rng.uniform() < 0.4:  # it is held by hand
        shake = log_uniform(rng, 0.002, 0.02)
        for axis in (across, down):
            axis += [Wave(shake / (1 + n), log_uniform(rng, 0.3, 2.5), rng.uniform(0, 6)) for n in range(2)]
        roll = Wave(abs(rng.normal(0, 60 * shake)), log_uniform(rng, 0.3, 2), rng.uniform(0, 6))
    if rng.uniform() < 0.15:
        zoom = Drift(rng.choice([-1, 1]) * log_uniform(rng, 0.02, 0.2), 0, middle)
    return tuple(across), tuple(down), zoom, roll


def _random_flow(rng: np.random.Generator) -> Flow:
    top = rng.choice([0.0, rng.uniform(0.2, 0.7)])
    bottom = 1.0 if top else rng.choice([1.0, rng.uniform(0.2, 0.8)])
    swell = Wave(log_uniform(rng, 0.004, 0.05), log_uniform(rng, 0.2, 2.5), rng.uniform(0, 6))
    drift = rng.normal(0, 0.2, 2) * rng.choice([0, 1], 2)
    return Flow(top, bottom, float(drift[0]), float(drift[1]), swell, log_uniform(rng, 0.05, 0.8))
