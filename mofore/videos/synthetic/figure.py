"""Projects a figure's joints onto the frame and returns the outlines and depths of its limbs.

A limb is a group of parts with one depth: an arm, a leg, the trunk or the head. The caller draws the farthest first.

Shapes: T frames, J joints, K corners of an outline.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mofore.videos.synthetic.appearance import Appearance, Colour, shade
from mofore.videos.synthetic.kinematics import ANKLE, ELBOW, FACE, HAND, HEAD, HIP, KNEE, NECK, SHOULDER, TOE, Array

SHIFT = 4  # fractional bits of the fixed-point coordinates passed to OpenCV
RIM = 1.5  # pixels, width of the darker rim around each part
EYES, LIPS = (35, 25, 25), (70, 60, 150)  # BGR

_CAP_ANGLES = np.linspace(-np.pi / 2, np.pi / 2, 6)  # radians, corners of the half circle at each end of a capsule

Outlines = Sequence[NDArray[np.int32]]  # T convex polygons [K, 2] in pixels, with SHIFT fractional bits


@dataclass(frozen=True)
class Part:
    """A convex patch of one colour in each of T frames."""

    colour: Colour
    corners: Outlines
    rim: Outlines | None = None  # a wider outline, drawn beneath the part in a darker colour


@dataclass(frozen=True)
class Limb:
    """Parts that are drawn together."""

    parts: list[Part]
    depth: Array  # [T], larger values are closer to the camera

    def strokes(self) -> list[tuple[Outlines, Colour]]:
        """Return the polygons to fill, in drawing order. All rims come first, so that joints show no seam."""
        rims = [(part.rim, shade(part.colour, 0.55)) for part in self.parts if part.rim is not None]
        return rims + [(part.corners, part.colour) for part in self.parts]


class Camera:
    """Orthographic projection of the figure's space onto the frame."""

    def __init__(self, size: float, yaw: float, pitch: float, origin: Array) -> None:
        """Set up the projection.

        Args:
            size: pixels per unit of length.
            yaw: degrees between the figure's front and the camera.
            pitch: degrees by which the camera looks down.
            origin: [T, 2] position (x, y) of the figure's origin in the frame.
        """
        yaw, pitch = np.deg2rad(yaw), np.deg2rad(pitch)
        towards = np.array([np.cos(yaw), np.sin(yaw), 0])
        right = np.array([-np.sin(yaw), np.cos(yaw), 0])
        down = np.sin(pitch) * towards - np.cos(pitch) * np.array([0, 0, 1])
        self.size, self.origin, self.towards = size, origin, towards
        self.matrix = size * np.stack([right, down], axis=1)

    def __call__(self, points: Array) -> Array:
        """Project points [T, ..., 3] to pixels [T, ..., 2]."""
        origin = self.origin.reshape(len(self.origin), *[1] * (points.ndim - 2), 2)
        return np.asarray(points @ self.matrix + origin)


def _fixed_point(pixels: Array) -> NDArray[np.int32]:
    return np.rint(pixels * (1 << SHIFT)).astype(np.int32)


def _capsule(a: Array, b: Array, radius_a: float, radius_b: float) -> Outlines:
    """Return the convex outlines around two discs with centres a and b [T, 2]."""
    along = b - a
    angle = np.arctan2(along[:, 1], along[:, 0])[:, None]

    def half(centre: Array, radius: float, turn: float) -> Array:
        angles = angle + turn + _CAP_ANGLES
        return centre[:, None] + radius * np.stack([np.cos(angles), np.sin(angles)], axis=-1)

    return list(_fixed_point(np.concatenate([half(b, radius_b, 0), half(a, radius_a, np.pi)], axis=1)))


def _part(a: Array, b: Array, radius_a: float, radius_b: float, colour: Colour, rim: float) -> Part:
    """Make a tapered capsule from disc a to disc b. The rim is in pixels; 0: no rim."""
    wider = _capsule(a, b, radius_a + rim, radius_b + rim) if rim else None
    return Part(colour, _capsule(a, b, radius_a, radius_b), wider)


def _hull(discs: list[tuple[Array, float]]) -> Outlines:
    """Return the convex outlines around several discs, each given as (centre [T, 2], radius)."""
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    corners = _fixed_point(np.concatenate([c[:, None] + r * circle for c, r in discs], axis=1))
    return [cv2.convexHull(frame) for frame in corners]


def figure_limbs(joints: Array, appearance: Appearance, camera: Camera) -> list[Limb]:
    """Return all limbs of a figure, as outlines and depths.

    Args:
        joints: [T, J, 3] from `joint_positions`.
        appearance: gives the colours and widths.
        camera: its origin has T or 1 positions.
    """
    body, size = appearance.body, camera.size
    pixels = camera(joints)
    thick = body.girth * size

    def bone(a: int, b: int, radius_a: float, radius_b: float, colour: Colour) -> Part:
        return _part(pixels[:, a], pixels[:, b], radius_a * thick, radius_b * thick, colour, RIM)

    def depth(*of: int) -> Array:
        return np.asarray(joints[:, of].mean(axis=1) @ camera.towards)

    limbs = []
    forearm = appearance.shirt if appearance.long_sleeves else appearance.skin
    shin = appearance.trousers if appearance.long_trousers else appearance.skin
    for side in (0, 1):
        limbs += [
            Limb(
                [
                    bone(HAND[side], HAND[side], 0.034, 0.034, appearance.skin),
                    bone(ELBOW[side], HAND[side], 0.033, 0.026, forearm),
                    bone(SHOULDER[side], ELBOW[side], 0.042, 0.034, appearance.shirt),
                ],
                depth(SHOULDER[side], ELBOW[side], HAND[side]),
            ),
            Limb(
                [
                    bone(ANKLE[side], TOE[side], 0.036, 0.029, appearance.shoes),
                    bone(KNEE[side], ANKLE[side], 0.042, 0.032, shin),
                    bone(HIP[side], KNEE[side], 0.060, 0.046, appearance.trousers),
                ],
                depth(HIP[side], KNEE[side], ANKLE[side]),
            ),
        ]

    waist = pixels[:, HIP] * 0.78 + pixels[:, NECK, None] * 0.22
    discs = [(pixels[:, s], 0.045 * thick) for s in SHOULDER] + [(waist[:, s], 0.062 * thick) for s in (0, 1)]
    shirt = Part(appearance.shirt, _hull(discs), _hull([(c, r + RIM) for c, r in discs]))
    head, behind = _head(joints, appearance, camera)
    trunk = [
        *behind,
        bone(HIP[0], HIP[1], 0.064, 0.064, appearance.trousers),
        bone(NECK, HEAD, 0.034, 0.034, appearance.skin),
        shirt,
    ]
    trunk_depth = depth(NECK, *HIP)
    limbs.append(Limb(trunk, trunk_depth))
    # The trunk, with the neck, never hides the face.
    limbs.append(Limb(head, np.maximum(depth(HEAD), trunk_depth + 1e-3)))
    return limbs


def ball_limb(ball: Array, appearance: Appearance, camera: Camera) -> Limb:
    """Return a ball as a limb.

    Args:
        ball: [T, 3] position; nan where the ball is not visible. It is then drawn far outside the frame.
        appearance: gives the colour and radius.
        camera: its origin has T or 1 positions.
    """
    spot = np.nan_to_num(camera(ball), nan=-1000)
    radius = appearance.ball_radius * camera.size
    part = _part(spot, spot, radius, radius, appearance.ball, RIM)
    return Limb([part], np.nan_to_num(ball @ camera.towards) + 0.05)  # in front of the hand that holds it


def _head(joints: Array, appearance: Appearance, camera: Camera) -> tuple[list[Part], list[Part]]:
    """Return the parts of the head, and the parts of the hair that hang behind the trunk.

    The figure always faces the camera, so the face is always visible.
    """
    r = appearance.body.head
    front = (joints[:, FACE] - joints[:, HEAD]) / r
    up = joints[:, HEAD] - joints[:, NECK]
    up /= np.linalg.norm(up, axis=1, keepdims=True)
    left = np.cross(up, front)

    def at(forward: float, upward: float, leftward: float = 0) -> Array:
        return camera(joints[:, HEAD] + r * (forward * front + upward * up + leftward * left))

    def part(a: Array, b: Array, radius_a: float, radius_b: float, colour: Colour, rim: float = 0) -> Part:
        return _part(a, b, radius_a * r * camera.size, radius_b * r * camera.size, colour, rim)

    behind, parts = [], []
    if appearance.hair_style == 1:
        behind.append(part(at(-0.25, 0), at(-0.5, -1.35), 0.9, 0.7, appearance.hair, RIM))
    elif appearance.hair_style == 2:
        parts.append(part(at(-0.75, 0.95), at(-0.75, 0.95), 0.45, 0.45, appearance.hair, RIM))
    parts.append(part(at(-0.15, 0.15), at(-0.15, 0.15), 0.98, 0.98, appearance.hair, RIM))
    parts.append(part(at(0.16, -0.14), at(0.16, -0.14), 0.86, 0.86, appearance.skin))
    for side in (-0.42, 0.42):
        parts.append(part(at(0.85, 0.0, side), at(0.85, -0.12, side), 0.1, 0.1, EYES))
    parts.append(part(at(0.85, -0.5, -0.16), at(0.85, -0.5, 0.16), 0.07, 0.07, LIPS))
    return parts, behind
