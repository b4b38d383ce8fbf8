"""Draws a demo video frame by frame: background, seat, shadow, figure, ball, sensor noise.

Shapes: T frames, M limbs and ball.
"""

from collections.abc import Iterator

import cv2
import numpy as np

from mofore.videos.synthetic.actions import sit_down
from mofore.videos.synthetic.appearance import HEIGHT, WIDTH, Appearance, Image, shade
from mofore.videos.synthetic.clip import NOISE, DemoClip
from mofore.videos.synthetic.figure import SHIFT, Camera, ball_limb, figure_limbs
from mofore.videos.synthetic.kinematics import PELVIS, Array, joint_positions
from mofore.videos.synthetic.scene import MARGIN
from mofore.videos.synthetic.trajectory import clip_motion

NOISE_MARGIN = 64  # pixels by which the noise image exceeds a frame; each frame uses a random window of it


def draw_frames(action: str, appearance: Appearance, background: Image, clip: DemoClip) -> Iterator[Image]:
    """Draw the frames of one video.

    Args:
        action: a name in ACTIONS.
        appearance: of the group.
        background: of the group, [HEIGHT + 2 MARGIN, WIDTH + 2 MARGIN, 3], BGR.
        clip: random properties of the video.

    Yields:
        T frames [HEIGHT, WIDTH, 3], uint8, BGR.
    """
    joints, ball = clip_motion(action, appearance.body, clip)
    size = appearance.size * clip.size
    place = np.array([WIDTH / 2 + clip.offset_x, appearance.ground + clip.offset_y])
    camera = Camera(size, clip.yaw, appearance.pitch, place + clip.camera_shift)
    limbs = figure_limbs(joints, appearance, camera)
    if ball is not None:
        limbs.append(ball_limb(ball, appearance, camera))
    order = np.argsort([limb.depth for limb in limbs], axis=0)  # [M, T], the farthest limb first

    backdrop = background.copy()
    _draw_seat(backdrop, appearance, Camera(size, clip.yaw, appearance.pitch, place[None] + MARGIN))
    shadow = _shadow(0.24 * size, 0.075 * size)
    shadow_centre = camera(joints[:, PELVIS] * [1, 1, 0])
    rng = np.random.default_rng(clip.noise_seed)
    noise = rng.normal(128, NOISE, (HEIGHT + NOISE_MARGIN, WIDTH + NOISE_MARGIN, 3)).round().astype(np.uint8)
    cuts = rng.integers(0, NOISE_MARGIN, (clip.frames, 2))
    strokes = [limb.strokes() for limb in limbs]

    for t in range(clip.frames):
        frame = _crop(backdrop, *(MARGIN - clip.camera_shift[t]))
        _darken(frame, shadow, shadow_centre[t])
        for i in order[:, t]:
            for outlines, colour in strokes[i]:
                cv2.fillConvexPoly(frame, outlines[t], colour, cv2.LINE_AA, SHIFT)
        y, x = cuts[t]
        cv2.addWeighted(frame, clip.gain[t], noise[y : y + HEIGHT, x : x + WIDTH], 1, -128, frame)
        yield frame


def _crop(backdrop: Image, x: float, y: float) -> Image:
    """Cut the frame with its top left corner at (x, y) out of the backdrop, with bilinear interpolation.

    This is faster than cv2.getRectSubPix.
    """
    left, top = int(x), int(y)
    right, down = x - left, y - top
    wide = backdrop[top : top + HEIGHT + 1, left : left + WIDTH + 1]
    rows = cv2.addWeighted(wide[:, :-1], 1 - right, wide[:, 1:], right, 0)
    return np.asarray(cv2.addWeighted(rows[:-1], 1 - down, rows[1:], down, 0), np.uint8)


def _draw_seat(backdrop: Image, appearance: Appearance, camera: Camera) -> None:
    """Draw a round stool where SitDown ends. All classes have it, so that it does not reveal the class."""
    hips = joint_positions(appearance.body, sit_down(np.array([1.0]), 1.0))[:, PELVIS]
    x, top = np.rint(camera(hips - [0, 0, 0.066 * appearance.body.girth])[0]).astype(int).tolist()
    bottom = round(camera(hips * [1, 1, 0])[0, 1])
    r = round(appearance.seat_radius * camera.size)
    flat = round(r * 0.28)
    floor = backdrop[bottom, x].tolist()
    cv2.ellipse(backdrop, (x, bottom), (r + 3, flat + 1), 0, 0, 360, shade(floor, 0.7), -1, cv2.LINE_AA)
    cv2.ellipse(backdrop, (x, bottom), (r, flat), 0, 0, 360, shade(appearance.seat, 0.6), -1, cv2.LINE_AA)
    cv2.rectangle(backdrop, (x - r, top), (x + r, bottom), shade(appearance.seat, 0.6), -1)
    cv2.rectangle(backdrop, (x - r // 2, top), (x + r // 4, bottom + flat - 1), shade(appearance.seat, 0.72), -1)
    cv2.ellipse(backdrop, (x, top), (r, flat), 0, 0, 360, appearance.seat, -1, cv2.LINE_AA)


def _shadow(half_width: float, half_height: float) -> Image:
    """Return an image of a soft elliptic shadow: brightness factors times 255 (255: no shadow)."""
    y, x = np.mgrid[-1.5 : 1.5 : int(3 * half_height) * 1j, -1.5 : 1.5 : int(3 * half_width) * 1j]
    dark = 0.55 * np.exp(-2.2 * (x * x + y * y))
    return np.repeat(255 * (1 - dark)[..., None], 3, axis=2).round().astype(np.uint8)


def _darken(frame: Image, shadow: Image, centre: Array) -> None:
    """Darken a frame in place by a shadow around `centre` (x, y). The part outside the frame is cut off."""
    height, width = shadow.shape[:2]
    left, top = round(centre[0] - width / 2), round(centre[1] - height / 2)
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + width, WIDTH), min(top + height, HEIGHT)
    spot = frame[y0:y1, x0:x1]
    cv2.multiply(spot, shadow[y0 - top : y1 - top, x0 - left : x1 - left], spot, 1 / 255)
