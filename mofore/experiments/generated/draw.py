"""Draws a program, each time with another look: colours, bodies, background, place, size, speed, noise.

Shapes: T frames, H height, W width, C = 3 colours (BGR), S segments, K corners of an outline.
"""

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np

from mofore.experiments.generated.body import segment_ends
from mofore.experiments.generated.program import Actor, Flow, Path, Program
from mofore.experiments.generated.texture import Colour, Image, random_colour, random_outline, random_picture
from mofore.experiments.generated.waves import Array, Motion, log_uniform

HEIGHT, WIDTH = 96, 128  # pixels of a frame as it is drawn
MARGIN = 1.6  # a background is larger than a frame by this factor
SHIFT = 4  # bits after the point in coordinates of OpenCV's polygons
ARC = np.linspace(-np.pi / 2, np.pi / 2, 5)  # directions of the corners at a segment's round end


def draw(program: Program, rng: np.random.Generator, frames: int, seconds: float) -> Iterator[Image]:
    """Draw a program with a new look.

    Args:
        program: what happens.
        rng: decides the look.
        frames: T.
        seconds: from the first frame to the last.

    Yields:
        T frames [H, W, C], uint8, BGR.
    """
    speed, later = log_uniform(rng, 0.88, 1.14), rng.uniform(0, 0.15) * seconds
    time_T = np.linspace(0, seconds, frames) * speed + later
    sign = rng.choice([-1, 1])
    camera_T23 = _camera(program, rng, time_T, sign)
    backdrop = _Backdrop(program, rng)
    layers: list[_Thing | _Body] = [_Thing(path, rng, time_T, sign) for path in program.things]
    layers += [_Body(actor, rng, time_T, sign) for actor in program.actors]
    layers = [layers[i] for i in rng.permutation(len(layers))]
    light_T = log_uniform(rng, 0.8, 1.2) * (1 + _sum((program.light,), time_T))
    blur = rng.choice([0.0, rng.uniform(0.4, 1.0)])
    grain = np.clip(rng.normal(128, rng.gamma(1.5, 2), (HEIGHT + 32, WIDTH + 32, 3)), 0, 255).astype(np.uint8)
    quality = int(rng.integers(15, 60)) if rng.uniform() < 0.4 else 0

    for t in range(frames):
        frame = backdrop.draw(camera_T23[t], time_T[t])
        for layer in layers:
            layer.draw(frame, t, camera_T23[t])
        if blur:
            cv2.GaussianBlur(frame, (3, 3), blur, dst=frame)
        y, x = rng.integers(0, 32, 2)
        cv2.addWeighted(frame, light_T[t], grain[y : y + HEIGHT, x : x + WIDTH], 1, -128, dst=frame)
        if quality:
            _, jpeg = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])
            frame = np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8)
        yield frame


def _sum(motions: tuple[Motion, ...], time_T: Array) -> Array:
    return np.sum([motion(time_T) for motion in motions], axis=0) if motions else np.zeros_like(time_T)


def _camera(program: Program, rng: np.random.Generator, time_T: Array, sign: int) -> Array:
    """Affine maps [T, 2, 3] from the scene, in picture heights from its centre, to the picture, in pixels."""
    strength, zoom = log_uniform(rng, 0.75, 1.3), log_uniform(rng, 0.85, 1.2)
    scale_T = HEIGHT * zoom * np.exp(strength * program.zoom(time_T))
    roll_T = np.deg2rad(strength * program.roll(time_T) + rng.normal(0, 2))
    camera = np.zeros((len(time_T), 2, 3))
    camera[:, 0, 0] = camera[:, 1, 1] = scale_T * np.cos(roll_T)
    camera[:, 1, 0] = scale_T * np.sin(roll_T)
    camera[:, 0, 1] = -camera[:, 1, 0]
    camera[:, 0, 2] = WIDTH / 2 + HEIGHT * sign * strength * _sum(program.camera_across, time_T)
    camera[:, 1, 2] = HEIGHT / 2 + HEIGHT * strength * _sum(program.camera_down, time_T)
    return camera


def _place(path: Path, rng: np.random.Generator, time_T: Array, sign: int) -> tuple[Array, Array, Array, Array]:
    """Where a thing is: centre [T, 2], size [T], turn [T] and yaw [T] in degrees."""
    strength, size = log_uniform(rng, 0.8, 1.25), path.size * log_uniform(rng, 0.85, 1.18)
    x_T = sign * (path.x + strength * _sum(path.across, time_T)) + rng.normal(0, 0.06)
    y_T = path.y + strength * _sum(path.down, time_T) + rng.normal(0, 0.05)
    yaw_T = path.yaw[0] + path.yaw[1](time_T) + rng.normal(0, 15)
    yaw_T = yaw_T if sign > 0 else 180 - yaw_T
    return np.stack([x_T, y_T], axis=1), size * np.exp(path.growth(time_T)), sign * path.turn(time_T), yaw_T


class _Backdrop:
    """The background, which moves with the camera; and a part that flows, if there is one."""

    def __init__(self, program: Program, rng: np.random.Generator) -> None:
        height, width = int(HEIGHT * MARGIN), int(WIDTH * MARGIN)
        picture = random_picture(rng, height, width)
        self.picture = cv2.GaussianBlur(picture, (0, 0), 1.0) if rng.uniform() < 0.4 else picture
        self.to_scene = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, HEIGHT]]) / HEIGHT
        self.flow = program.flow
        if self.flow:
            self.stuff = random_picture(rng, HEIGHT, WIDTH)
            self.sign = rng.choice([-1, 1])
            self.y, self.x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)

    def draw(self, camera_23: Array, time: float) -> Image:
        affine = camera_23 @ self.to_scene
        frame: Image = np.empty((HEIGHT, WIDTH, 3), np.uint8)
        cv2.warpAffine(self.picture, affine, (WIDTH, HEIGHT), dst=frame, borderMode=cv2.BORDER_REFLECT)
        if self.flow:
            self._flow(frame, self.flow, camera_23, time)
        return frame

    def _flow(self, frame: Image, flow: Flow, camera_23: Array, time: float) -> None:
        top, bottom = (round(HEIGHT * edge) for edge in (flow.top, flow.bottom))
        x, y = self.x[top:bottom], self.y[top:bottom]
        wave = 2 * np.pi * (y + 0.3 * x) / (flow.length * HEIGHT)
        angle = np.float32(2 * np.pi * flow.swell.hertz * time + flow.swell.phase)
        bend = np.float32(flow.swell.size * HEIGHT) * np.sin(wave + angle)
        moved_x = x - np.float32(HEIGHT * self.sign * flow.across * time + camera_23[0, 2]) + bend
        moved_y = y - np.float32(HEIGHT * flow.down * time + camera_23[1, 2]) + bend
        frame[top:bottom] = cv2.remap(self.stuff, moved_x, moved_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


class _Thing:
    """A rigid thing with a texture: a ball, a vehicle, a wheel, a box."""

    def __init__(self, path: Path, rng: np.random.Generator, time_T: Array, sign: int) -> None:
        self.centre_T2, self.size_T, self.turn_T, _ = _place(path, rng, time_T, sign)
        outline = random_outline(rng, int(rng.integers(3, 8)))
        if rng.uniform() < 0.5:
            angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
            outline = np.stack([np.cos(angles), rng.uniform(0.5, 1) * np.sin(angles)], axis=1)
        self.patch = random_picture(rng, 48, 48)
        self.mask = np.zeros((48, 48), np.uint8)
        cv2.fillPoly(self.mask, [np.rint(outline * 22 + 24).astype(np.int32)], 255, cv2.LINE_AA)

    def draw(self, frame: Image, t: int, camera_23: Array) -> None:
        angle, scale = np.deg2rad(self.turn_T[t]), self.size_T[t] / 48
        turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        shift = self.centre_T2[t] - turn @ [24, 24]
        affine = camera_23 @ np.vstack([np.column_stack([turn, shift]), [0, 0, 1]])
        corners = affine @ np.array([[0, 48, 0, 48], [0, 0, 48, 48], [1, 1, 1, 1]])
        left, top = np.maximum(np.floor(corners.min(axis=1)), 0).astype(int).tolist()
        right, bottom = np.minimum(np.ceil(corners.max(axis=1)), (WIDTH, HEIGHT)).astype(int).tolist()
        if right <= left or bottom <= top:
            return
        affine[:, 2] -= (left, top)
        size = (right - left, bottom - top)
        mask = cv2.warpAffine(self.mask, affine, size)[..., None].astype(np.uint16)
        patch = cv2.warpAffine(self.patch, affine, size, borderMode=cv2.BORDER_REPLICATE)
        spot = frame[top:bottom, left:right]
        spot[:] = (patch * mask + spot * (255 - mask)) // 255


class _Body:
    """An articulated body, drawn as segments with round ends, the farthest first."""

    def __init__(self, actor: Actor, rng: np.random.Generator, time_T: Array, sign: int) -> None:
        centre_T2, size_T, turn_T, yaw_T = _place(actor.path, rng, time_T, sign)
        thick, build = log_uniform(rng, 0.75, 1.4), np.exp(rng.normal(0, 0.08, 8))
        body = [replace(s, length=s.length * build[s.part % 8]) for s in actor.body]
        start_ST3, end_ST3 = segment_ends(body, time_T)
        middle_T13 = (start_ST3[0] + end_ST3[0])[None] / 2
        pitch = np.deg2rad(rng.uniform(0, 15))
        radius_S = thick * np.array([s.radius for s in body])
        yaw_T, turn_T = np.deg2rad(yaw_T), np.deg2rad(turn_T)
        points = []
        for point_ST3 in (start_ST3 - middle_T13, end_ST3 - middle_T13):
            forward, left, up = np.moveaxis(point_ST3, -1, 0)
            across = forward * np.cos(yaw_T) - left * np.sin(yaw_T)
            near = forward * np.sin(yaw_T) + left * np.cos(yaw_T)
            down = -up * np.cos(pitch) + near * np.sin(pitch)
            x = across * np.cos(turn_T) - down * np.sin(turn_T)
            y = across * np.sin(turn_T) + down * np.cos(turn_T)
            points.append((centre_T2 + size_T[:, None] * np.stack([x, y], axis=-1), near))
        (start_ST2, near_start), (end_ST2, near_end) = points
        radius_ST = radius_S[:, None] * size_T
        self.outline_STK2 = _capsule(start_ST2, end_ST2, radius_ST)
        stripe = rng.uniform(0.25, 0.75)  # a second colour on a part of each segment
        self.stripe_STK2 = _capsule(
            start_ST2 + stripe * (end_ST2 - start_ST2), end_ST2, radius_ST * rng.uniform(0.4, 0.95)
        )
        self.order_ST = np.argsort(near_start + near_end, axis=0)
        colour_of: list[Colour] = [random_colour(rng) for _ in range(6)]
        self.colours = [colour_of[s.part % 6] for s in body]
        striped = rng.uniform(size=6) < 0.4
        self.stripes = [random_colour(rng) if striped[s.part % 6] else None for s in body]

    def draw(self, frame: Image, t: int, camera_23: Array) -> None:
        outlines = (self.outline_STK2[:, t] @ camera_23[:, :2].T + camera_23[:, 2]) * (1 << SHIFT)
        outlines = np.clip(outlines, -30000, 30000).round().astype(np.int32)
        stripes = (self.stripe_STK2[:, t] @ camera_23[:, :2].T + camera_23[:, 2]) * (1 << SHIFT)
        stripes = np.clip(stripes, -30000, 30000).round().astype(np.int32)
        for s in self.order_ST[:, t]:
            cv2.fillConvexPoly(frame, outlines[s], self.colours[s], cv2.LINE_AA, SHIFT)
            if self.stripes[s]:
                cv2.fillConvexPoly(frame, stripes[s], self.stripes[s], cv2.LINE_AA, SHIFT)


def _capsule(start_ST2: Array, end_ST2: Array, radius_ST: Array) -> Array:
    """Outlines [S, T, K, 2] of segments with round ends."""
    along = end_ST2 - start_ST2
    angle_ST = np.arctan2(along[..., 1], along[..., 0])
    ahead, behind = angle_ST[..., None] + ARC, angle_ST[..., None] + np.pi + ARC
    r = radius_ST[..., None, None]
    front = end_ST2[:, :, None] + 0.85 * r * np.stack([np.cos(ahead), np.sin(ahead)], axis=-1)
    back = start_ST2[:, :, None] + r * np.stack([np.cos(behind), np.sin(behind)], axis=-1)
    return np.concatenate([front, back], axis=2)
