"""What a clip draws for itself: length, phase, amplitude, place, direction, camera. One law for all classes.

Every law is the same forwards and backwards in time, so that two actions which differ only in the order of their frames
differ in nothing else.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from mofore.videos.synthetic.kinematics import Array

FPS = 25

# How hard the videos are.
FRAMES = (64, 112)  # length, from and to
SPEED_SPREAD = 0.15  # standard deviation of the log of the speed
SPEED_WOBBLE = 0.12  # standard deviation of the speed within a clip, as a share
AMPLITUDE_SPREAD = 0.10  # standard deviation of the log of the amplitude; cut at twice that
POSTURE = 3.0  # degrees, standard deviation of every joint angle's offset
IDLE = 1.5  # degrees, standard deviation of every joint angle's slow fluctuation
YAW = (40.0, 55.0)  # degrees between the figure's front and the camera, to either side
PLACE = (6.0, 2.0)  # pixels, largest distance of the figure from its place, across and down
SHAKE = 0.1  # pixels, standard deviation of the camera's shake; with PAN, well below scene.MARGIN
PAN = 2.5  # pixels, largest way that the camera pans over a clip
NOISE = 2.0  # grey levels, standard deviation of the sensor's noise
FLICKER = 0.02  # standard deviation of the light's gain

BYTES_PER_FRAME = (2200, 2500)  # of the file, whatever it shows: above what any video needs by itself


@dataclass(frozen=True)
class Clip:
    frames: int
    bytes: int  # of the file
    mirrored: bool
    yaw: float  # degrees
    size: float  # factor of the figure's size
    amplitude: float
    place_x: float  # pixels off the frame's middle
    place_y: float  # pixels off the group's ground
    start: float  # phase at the first frame, of the periodic actions
    speed: Array  # [T] factor of the action's speed
    once: Array  # [T] phase of the actions that go once, from 0 to 1
    posture: Array  # [12] degrees
    idle: Array  # [T, 12] degrees
    camera: Array  # [T, 2] pixels that the picture moves, right and down
    gain: Array  # [T] of the light
    noise_seed: int


def smooth_noise(rng: np.random.Generator, frames: int, sigma: float, width: int = 1) -> Array:
    """Gaussian noise [T, width] of standard deviation 1, correlated over about `sigma` frames."""
    pad = int(4 * sigma)
    white = rng.standard_normal((frames + 2 * pad, width))
    taps = np.exp(-0.5 * (np.arange(-pad, pad + 1) / sigma) ** 2)
    taps /= np.sqrt((taps**2).sum())
    smooth = cv2.filter2D(white, cv2.CV_64F, taps[:, None], borderType=cv2.BORDER_CONSTANT)
    return np.asarray(smooth[pad : pad + frames], np.float64)


def draw_clip(rng: np.random.Generator) -> Clip:
    """Draw a clip; the law is one for all classes, groups and clips."""
    frames = int(rng.integers(FRAMES[0], FRAMES[1] + 1))
    wobble = smooth_noise(rng, frames, 12)[:, 0]
    pan = rng.uniform(-PAN, PAN, 2) * [1, 0.3] * np.linspace(-0.5, 0.5, frames)[:, None]
    return Clip(
        frames=frames,
        bytes=2 * int(frames * rng.uniform(*BYTES_PER_FRAME) / 2),
        mirrored=bool(rng.integers(2)),
        yaw=rng.uniform(*YAW) * rng.choice([-1, 1]),
        size=rng.uniform(0.97, 1.03),
        amplitude=float(np.exp(AMPLITUDE_SPREAD * np.clip(rng.normal(), -2, 2))),
        place_x=PLACE[0] * rng.uniform(-1, 1),
        place_y=PLACE[1] * rng.uniform(-1, 1),
        start=rng.uniform(),
        speed=np.exp(rng.normal(0, SPEED_SPREAD) + SPEED_WOBBLE * wobble),
        once=_ease(rng, frames),
        posture=rng.normal(0, POSTURE, 12),
        idle=IDLE * smooth_noise(rng, frames, 15, 12),
        camera=SHAKE * smooth_noise(rng, frames, 2, 2) + pan,
        gain=1 + FLICKER * smooth_noise(rng, frames, 10)[:, 0],
        noise_seed=int(rng.integers(2**31)),
    )


def _ease(rng: np.random.Generator, frames: int) -> Array:
    """A way [T] from 0 to 1 that takes most of the clip, with short holds before and after and a random ease."""
    before, after = rng.uniform(0, 0.15, 2)
    time = np.linspace(0, 1, frames)
    x = np.clip((time - before) / (1 - before - after), 0, 1)
    bend = rng.uniform(-0.5, 0.5)
    x = x + bend * x * (1 - x)  # reversed in time, this is the same with -bend
    mix = rng.uniform(0.2, 0.6)
    return mix * x + (1 - mix) * x * x * (3 - 2 * x)
