"""Samples what varies from video to video: length, phase, amplitude, position, direction and camera motion.

The distributions are the same for all classes. They are also the same forwards and backwards in time. Two actions
that are each other's reverse (SitDown and StandUp, Throw and Catch) therefore differ only in the order of their frames.

Shapes: T frames.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from mofore.videos.synthetic.kinematics import Array

FPS = 25

# The difficulty of the videos. Pairs are (lowest, highest) unless stated otherwise.
FRAMES = (64, 112)  # length of a video
SPEED_SPREAD = 0.15  # standard deviation of the log of the speed
SPEED_WOBBLE = 0.12  # standard deviation of the log of the speed within a video
AMPLITUDE_SPREAD = 0.10  # standard deviation of the log of the amplitude; clipped at two standard deviations
POSTURE = 3.0  # degrees, standard deviation of the constant offset of each joint angle
IDLE = 1.5  # degrees, standard deviation of the slow fluctuation of each joint angle
YAW = (40.0, 55.0)  # degrees between the figure's front and the camera, to the left or right
MAX_OFFSET = (6.0, 2.0)  # pixels, largest distance (across, down) of the figure from its standard position
SHAKE = 0.1  # pixels, standard deviation of camera shake; shake and pan together stay well below scene.MARGIN
PAN = 2.5  # pixels, largest distance that the camera pans during a video
NOISE = 2.0  # grey levels, standard deviation of sensor noise
FLICKER = 0.02  # standard deviation of the brightness factor

BYTES_PER_FRAME = (2200, 2500)  # size of the padded file; more than any video needs without padding


@dataclass(frozen=True)
class DemoClip:
    """The random properties of one demo video."""

    frames: int  # T
    file_bytes: int  # size of the file, even
    mirrored: bool  # whether the right side leads
    yaw: float  # degrees
    size: float  # factor on the figure's size
    amplitude: float  # of the action, about 1
    offset_x: float  # pixels right of the frame's centre
    offset_y: float  # pixels below the group's ground
    start_phase: float  # where periodic actions start, 0-1
    speed: Array  # [T] factor on the speed of periodic actions
    once_phase: Array  # [T] phase of the actions that run once, from 0 to 1
    posture: Array  # [12] constant offsets of joint angles in degrees, in the order of `trajectory._add_offsets`
    idle: Array  # [T, 12] slow fluctuations of the same joint angles in degrees
    camera_shift: Array  # [T, 2] pixels by which the picture moves right and down
    gain: Array  # [T] brightness factor
    noise_seed: int  # of the sensor noise


def smooth_noise(rng: np.random.Generator, frames: int, sigma: float, width: int = 1) -> Array:
    """Sample Gaussian noise [T, width] of standard deviation 1, smooth over time.

    The correlation over a lag of d frames is exp(-d^2 / (4 sigma^2)).
    """
    pad = int(4 * sigma)
    white = rng.standard_normal((frames + 2 * pad, width))
    taps = np.exp(-0.5 * (np.arange(-pad, pad + 1) / sigma) ** 2)
    taps /= np.sqrt((taps**2).sum())
    smooth = cv2.filter2D(white, cv2.CV_64F, taps[:, None], borderType=cv2.BORDER_CONSTANT)
    return np.asarray(smooth[pad : pad + frames], np.float64)


def sample_demo_clip(rng: np.random.Generator) -> DemoClip:
    """Sample the properties of a video. The distribution is the same for all classes, groups and videos."""
    frames = int(rng.integers(FRAMES[0], FRAMES[1] + 1))
    wobble = smooth_noise(rng, frames, 12)[:, 0]
    pan = rng.uniform(-PAN, PAN, 2) * [1, 0.3] * np.linspace(-0.5, 0.5, frames)[:, None]
    return DemoClip(
        frames=frames,
        file_bytes=2 * int(frames * rng.uniform(*BYTES_PER_FRAME) / 2),
        mirrored=bool(rng.integers(2)),
        yaw=rng.uniform(*YAW) * rng.choice([-1, 1]),
        size=rng.uniform(0.97, 1.03),
        amplitude=float(np.exp(AMPLITUDE_SPREAD * np.clip(rng.normal(), -2, 2))),
        offset_x=MAX_OFFSET[0] * rng.uniform(-1, 1),
        offset_y=MAX_OFFSET[1] * rng.uniform(-1, 1),
        start_phase=rng.uniform(),
        speed=np.exp(rng.normal(0, SPEED_SPREAD) + SPEED_WOBBLE * wobble),
        once_phase=_one_way_phase(rng, frames),
        posture=rng.normal(0, POSTURE, 12),
        idle=IDLE * smooth_noise(rng, frames, 15, 12),
        camera_shift=SHAKE * smooth_noise(rng, frames, 2, 2) + pan,
        gain=1 + FLICKER * smooth_noise(rng, frames, 10)[:, 0],
        noise_seed=int(rng.integers(2**31)),
    )


def _one_way_phase(rng: np.random.Generator, frames: int) -> Array:
    """Sample phases [T] that rise from 0 to 1 over most of the video, with a short hold before and after.

    The easing curve is random.
    """
    before, after = rng.uniform(0, 0.15, 2)
    time = np.linspace(0, 1, frames)
    x = np.clip((time - before) / (1 - before - after), 0, 1)
    bend = rng.uniform(-0.5, 0.5)
    x = x + bend * x * (1 - x)  # reversing time only changes the sign of `bend`, whose distribution is symmetric
    mix = rng.uniform(0.2, 0.6)
    return mix * x + (1 - mix) * x * x * (3 - 2 * x)
