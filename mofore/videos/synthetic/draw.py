"""Drawing a clip, frame by frame."""

from collections.abc import Iterator

import cv2
import numpy as np

from mofore.videos.synthetic.actions import sit_down
from mofore.videos.synthetic.appearance import HEIGHT, WIDTH, Image, Look, shade
from mofore.videos.synthetic.clip import NOISE, Clip
from mofore.videos.synthetic.figure import SHIFT, Camera, ball_limb, figure_limbs
from mofore.videos.synthetic.kinematics import PELVIS, Array, joint_positions
from mofore.videos.synthetic.scene import MARGIN
from mofore.videos.synthetic.trajectory import clip_motion

GRAIN = 64  # pixels by which the noise's picture is larger than a frame, so that each frame cuts out another part


def draw_frames(action: str, look: Look, background: Image, clip: Clip) -> Iterator[Image]:
    """Draw a clip.

    Args:
        action: a name in ACTIONS.
        look: of the group.
        background: the group's, [HEIGHT + 2 MARGIN, WIDTH + 2 MARGIN, 3].
        clip: its draws.

    Yields:
        T frames [HEIGHT, WIDTH, 3], BGR.
    """
    joints, ball = clip_motion(action, look.body, clip)
    size = look.size * clip.size
    place = np.array([WIDTH / 2 + clip.place_x, look.ground + clip.place_y])
    camera = Camera(size, clip.yaw, look.pitch, place + clip.camera)
    limbs = figure_limbs(joints, look, camera)
    if ball is not None:
        limbs.append(ball_limb(ball, look, camera))
    order = np.argsort([limb.depth for limb in limbs], axis=0)

    stage = background.copy()
    _draw_seat(stage, look, Camera(size, clip.yaw, look.pitch, place[None] + MARGIN))
    shadow = _shadow(0.24 * size, 0.075 * size)
    shadow_centre = camera(joints[:, PELVIS] * [1, 1, 0])
    rng = np.random.default_rng(clip.noise_seed)
    grain = rng.normal(128, NOISE, (HEIGHT + GRAIN, WIDTH + GRAIN, 3)).round().astype(np.uint8)
    cuts = rng.integers(0, GRAIN, (clip.frames, 2))
    strokes = [limb.strokes() for limb in limbs]

    for t in range(clip.frames):
        frame = _crop(stage, *(MARGIN - clip.camera[t]))
        _darken(frame, shadow, shadow_centre[t])
        for i in order[:, t]:
            for outlines, colour in strokes[i]:
                cv2.fillConvexPoly(frame, outlines[t], colour, cv2.LINE_AA, SHIFT)
        y, x = cuts[t]
        cv2.addWeighted(frame, clip.gain[t], grain[y : y + HEIGHT, x : x + WIDTH], 1, -128, frame)
        yield frame


def _crop(stage: Image, x: float, y: float) -> Image:
    """The frame of a stage whose corner is at (x, y), between pixels (bilinear; faster than cv2.getRectSubPix)."""
    left, top = int(x), int(y)
    right, down = x - left, y - top
    wide = stage[top : top + HEIGHT + 1, left : left + WIDTH + 1]
    rows = cv2.addWeighted(wide[:, :-1], 1 - right, wide[:, 1:], right, 0)
    return np.asarray(cv2.addWeighted(rows[:-1], 1 - down, rows[1:], down, 0), np.uint8)


def _draw_seat(stage: Image, look: Look, camera: Camera) -> None:
    """A round stool behind the figure, where sitting down ends: in every scene, used or not."""
    hips = joint_positions(look.body, sit_down(np.array([1.0]), 1.0))[:, PELVIS]
    x, top = np.rint(camera(hips - [0, 0, 0.066 * look.body.girth])[0]).astype(int).tolist()
    bottom = round(camera(hips * [1, 1, 0])[0, 1])
    r = round(look.seat_radius * camera.size)
    flat = round(r * 0.28)
    floor = stage[bottom, x].tolist()
    cv2.ellipse(stage, (x, bottom), (r + 3, flat + 1), 0, 0, 360, shade(floor, 0.7), -1, cv2.LINE_AA)
    cv2.ellipse(stage, (x, bottom), (r, flat), 0, 0, 360, shade(look.seat, 0.6), -1, cv2.LINE_AA)
    cv2.rectangle(stage, (x - r, top), (x + r, bottom), shade(look.seat, 0.6), -1)
    cv2.rectangle(stage, (x - r // 2, top), (x + r // 4, bottom + flat - 1), shade(look.seat, 0.72), -1)
    cv2.ellipse(stage, (x, top), (r, flat), 0, 0, 360, look.seat, -1, cv2.LINE_AA)


def _shadow(half_width: float, half_height: float) -> Image:
    """Factors (255: no shadow) of a soft elliptic shadow, with its centre in the middle."""
    y, x = np.mgrid[-1.5 : 1.5 : int(3 * half_height) * 1j, -1.5 : 1.5 : int(3 * half_width) * 1j]
    dark = 0.55 * np.exp(-2.2 * (x * x + y * y))
    return np.repeat(255 * (1 - dark)[..., None], 3, axis=2).round().astype(np.uint8)


def _darken(frame: Image, shadow: Image, centre: Array) -> None:
    """Multiply a frame by a shadow around `centre`, which is cut at the frame's edges."""
    height, width = shadow.shape[:2]
    left, top = round(centre[0] - width / 2), round(centre[1] - height / 2)
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + width, WIDTH), min(top + height, HEIGHT)
    spot = frame[y0:y1, x0:x1]
    cv2.multiply(spot, shadow[y0 - top : y1 - top, x0 - left : x1 - left], spot, 1 / 255)
