"""Draws random backgrounds: rooms, parks and shores. They never depend on the class."""

import cv2
import numpy as np

from mofore.videos.synthetic.appearance import HEIGHT, WIDTH, Appearance, Colour, Image, hsv

MARGIN = 16  # pixels of background beyond each side of the frame, so that the camera can pan and shake
SCALE = 2  # backgrounds are drawn larger by this factor, then scaled down for smooth edges


def draw_background(rng: np.random.Generator, appearance: Appearance) -> Image:
    """Draw a random background.

    Args:
        rng: determines everything except the ground.
        appearance: its `ground` places the horizon 14 to 26 pixels above the figure's feet.

    Returns:
        [HEIGHT + 2 MARGIN, WIDTH + 2 MARGIN, 3], uint8, BGR. The frame's top left corner is at (MARGIN, MARGIN).
    """
    width, height = WIDTH + 2 * MARGIN, HEIGHT + 2 * MARGIN
    horizon = round(MARGIN + appearance.ground - rng.uniform(14, 26))
    canvas = np.zeros((height * SCALE, width * SCALE, 3), np.uint8)
    scene = rng.choice(np.array([_room, _park, _shore]), p=[0.5, 0.3, 0.2])
    scene(rng, canvas, horizon * SCALE)
    image = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
    image = cv2.GaussianBlur(image, (0, 0), 0.7)  # slightly out of focus, so that the figure stands out
    return _add_lighting(rng, np.asarray(image, np.uint8))


def _fill(image: Image, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
    cv2.rectangle(image, (int(left), int(top)), (int(right), int(bottom)), colour, -1)


def _gradient(image: Image, top: Colour, bottom: Colour) -> None:
    """Fill an image, or a slice of one, with a vertical gradient in place."""
    ramp = np.linspace(0, 1, len(image))[:, None, None]
    image[:] = (np.array(top) * (1 - ramp) + np.array(bottom) * ramp).astype(np.uint8)


def _room(rng: np.random.Generator, image: Image, horizon: int) -> None:
    height, width = image.shape[:2]
    hue, saturation, value = rng.uniform(), rng.uniform(0.06, 0.3), rng.uniform(0.6, 0.92)
    _gradient(image[:horizon], hsv(hue, saturation, value * 0.92), hsv(hue, saturation, value))
    pattern = rng.integers(4)
    step = int(rng.integers(16, 34))
    darker = hsv(hue, saturation + 0.05, value * 0.93)
    for x in range(int(rng.integers(step)), width, step):
        if pattern == 0:  # stripes
            _fill(image, x, 0, x + step // 2, horizon - 1, darker)
        elif pattern == 1:  # dots
            for y in range(x // step % 2 * step // 2, horizon, step):
                cv2.circle(image, (x, y), step // 7, darker, -1, cv2.LINE_AA)
        elif pattern == 2:  # panels
            cv2.line(image, (x, horizon * 6 // 10), (x, horizon), darker, 2)
    if pattern == 2:
        cv2.line(image, (0, horizon * 6 // 10), (width, horizon * 6 // 10), darker, 3)

    floor_hue, floor_value = rng.uniform(0.03, 0.14), rng.uniform(0.4, 0.75)
    _gradient(image[horizon:], hsv(floor_hue, 0.4, floor_value * 0.85), hsv(floor_hue, 0.36, floor_value))
    centre = width / 2 + rng.uniform(-40, 40)
    joint = hsv(floor_hue, 0.42, floor_value * 0.78)
    for board in width * np.arange(-3, 3.01, rng.uniform(0.15, 0.3)):  # floor boards, running towards the viewer
        far, near = (int(centre + board), horizon), (int(centre + 2.2 * board), height)
        cv2.line(image, far, near, joint, 1, cv2.LINE_AA)
    if rng.uniform() < 0.4:  # a rug
        rug, rug_hue = (width // 2, (horizon + height - MARGIN * SCALE) // 2), rng.uniform()
        for share, rug_saturation in ((1.0, 0.45), (0.86, 0.25), (0.8, 0.4)):
            axes = (int(120 * share), int(22 * share))
            cv2.ellipse(image, rug, axes, 0, 0, 360, hsv(rug_hue, rug_saturation, 0.62), -1, cv2.LINE_AA)
    _fill(image, 0, horizon - 8, width, horizon, hsv(hue, saturation * 0.5, min(1, value * 1.08)))  # skirting
    cv2.line(image, (0, horizon + 1), (width, horizon + 1), hsv(floor_hue, 0.5, floor_value * 0.6), 2)

    places = np.linspace(0.1, 0.9, 5)[rng.permutation(5)] * width
    things = [_window, _picture, _picture, _plant, _lamp, _shelf, _cupboard]
    for place, thing in zip(places, rng.permutation(len(things))[: rng.integers(3, 6)], strict=False):
        things[thing](rng, image, place + rng.uniform(-10, 10), horizon)


def _window(rng: np.random.Generator, image: Image, x: float, horizon: int) -> None:
    half, top, bottom = rng.uniform(24, 38), horizon * rng.uniform(0.12, 0.22), horizon * rng.uniform(0.55, 0.68)
    frame = hsv(0.1, rng.uniform(0, 0.4), rng.uniform(0.7, 1))
    _fill(image, x - half - 4, top - 4, x + half + 4, bottom + 4, frame)
    pane = image[int(top) : int(bottom), max(0, int(x - half)) : int(x + half)]
    sky = rng.uniform(0.5, 0.65)
    _gradient(pane, hsv(sky, 0.5, 0.95), hsv(sky, 0.15, 1.0))
    cv2.ellipse(image, (int(x), int(bottom)), (int(half * 0.9), 14), 0, 180, 360, hsv(0.33, 0.4, 0.65), -1, cv2.LINE_AA)
    cv2.line(image, (int(x), int(top)), (int(x), int(bottom)), frame, 4)
    cv2.line(image, (int(x - half), int((top + bottom) / 2)), (int(x + half), int((top + bottom) / 2)), frame, 3)
    _fill(image, x - half - 8, bottom + 4, x + half + 8, bottom + 9, frame)


def _picture(rng: np.random.Generator, image: Image, x: float, horizon: int) -> None:
    half, tall, y = rng.uniform(12, 24), rng.uniform(12, 24), horizon * rng.uniform(0.25, 0.42)
    _fill(image, x - half - 3, y - tall - 3, x + half + 3, y + tall + 3, hsv(rng.uniform(0.05, 0.12), 0.5, 0.4))
    _fill(image, x - half, y - tall, x + half, y + tall, hsv(rng.uniform(), 0.4, 0.9))
    _fill(image, x - half, y + tall * rng.uniform(-0.2, 0.6), x + half, y + tall, hsv(rng.uniform(), 0.5, 0.6))
    cv2.circle(image, (int(x + half * 0.3), int(y - tall * 0.4)), 5, hsv(rng.uniform(), 0.6, 0.95), -1, cv2.LINE_AA)


def _plant(rng: np.random.Generator, image: Image, x: float, horizon: int) -> None:
    base, tall = horizon + 6, rng.uniform(50, 90)
    for angle in np.deg2rad(rng.uniform(-50, 50, 9)):
        tip = (int(x + tall * np.sin(angle)), int(base - 20 - tall * np.cos(angle)))
        green = hsv(rng.uniform(0.25, 0.4), 0.6, rng.uniform(0.35, 0.65))
        cv2.line(image, (int(x), base - 18), tip, green, 2, cv2.LINE_AA)
        cv2.ellipse(image, tip, (12, 6), float(np.rad2deg(angle)) - 90, 0, 360, green, -1, cv2.LINE_AA)
    pot = np.array([[x - 14, base - 26], [x + 14, base - 26], [x + 10, base], [x - 10, base]], np.int32)
    cv2.fillConvexPoly(image, pot, hsv(rng.uniform(), 0.5, 0.7), cv2.LINE_AA)


def _lamp(rng: np.random.Generator, image: Image, x: float, horizon: int) -> None:
    base, top, pole = horizon + 6, horizon * rng.uniform(0.3, 0.45), hsv(0.1, 0.2, 0.25)
    cv2.line(image, (int(x), int(top)), (int(x), base), pole, 3, cv2.LINE_AA)
    cv2.ellipse(image, (int(x), base), (13, 4), 0, 0, 360, pole, -1, cv2.LINE_AA)
    shade = np.array([[x - 9, top - 22], [x + 9, top - 22], [x + 19, top + 6], [x - 19, top + 6]], np.int32)
    cv2.fillConvexPoly(image, shade, hsv(rng.uniform(0.08, 0.16), 0.35, 1), cv2.LINE_AA)


def _shelf(rng: np.random.Generator, image: Image, x: float, horizon: int) -> None:
    y, wood = horizon * rng.uniform(0.3, 0.5), hsv(0.08, 0.5, rng.uniform(0.3, 0.6))
    left = x - 36
    while left < x + 30:  # books
        thick, tall = rng.uniform(5, 10), rng.uniform(18, 30)
        _fill(image, left, y - tall, left + thick, y, hsv(rng.uniform(), rng.uniform(0.3, 0.7), rng.uniform(0.4, 0.9)))
        left += thick + 1
    _fill(image, x - 40, y, x + 40, y + 4, wood)


def _cupboard(rng: np.random.Generator, image: Image, x: float, horizon: int) -> None:
    half, top, base = rng.uniform(24, 36), horizon - rng.uniform(50, 80), horizon + 4
    hue, value = rng.uniform(0.03, 0.13), rng.uniform(0.35, 0.75)
    _fill(image, x - half, top, x + half, base, hsv(hue, 0.5, value))
    for y in np.linspace(top + 4, base - 4, 4)[:-1]:
        _fill(image, x - half + 4, y, x + half - 4, y + (base - top) / 4, hsv(hue, 0.45, value * 1.12))
        cv2.circle(image, (int(x), int(y + (base - top) / 8)), 2, hsv(hue, 0.3, value * 0.5), -1, cv2.LINE_AA)


def _sky(rng: np.random.Generator, image: Image, horizon: int) -> None:
    hue = rng.choice([rng.uniform(0.53, 0.6), rng.uniform(0.02, 0.1)], p=[0.75, 0.25])  # day or dusk
    _gradient(image[:horizon], hsv(hue, rng.uniform(0.35, 0.6), 0.93), hsv(hue, 0.12, 0.98))
    for _ in range(rng.integers(2, 5)):  # clouds
        x, y = rng.uniform(0, image.shape[1]), rng.uniform(0.05, 0.45) * horizon
        for _ in range(5):
            spot = (int(x + rng.uniform(-26, 26)), int(y + rng.uniform(-5, 5)))
            cv2.ellipse(image, spot, (int(rng.uniform(12, 24)), 8), 0, 0, 360, hsv(hue, 0.04, 1), -1, cv2.LINE_AA)


def _park(rng: np.random.Generator, image: Image, horizon: int) -> None:
    height, width = image.shape[:2]
    _sky(rng, image, horizon)
    across = np.arange(0, width + 8, 8)
    for level, value in ((0.45, 0.78), (0.25, 0.66)):  # hills
        waves = sum(rng.uniform(4, 14) * np.sin(across / rng.uniform(18, 60) + rng.uniform(0, 6)) for _ in range(3))
        ridge = np.stack([across, horizon * (1 - level) + waves], axis=1)
        outline = np.concatenate([ridge, [[width, horizon], [0, horizon]]]).astype(np.int32)
        cv2.fillPoly(image, [outline], hsv(rng.uniform(0.28, 0.45), 0.3, value), cv2.LINE_AA)
    for _ in range(rng.integers(2, 6)):  # trees
        x, tall = rng.uniform(0, width), rng.uniform(60, 110)
        _fill(image, x - 4, horizon - tall * 0.5, x + 4, horizon + 4, hsv(0.07, 0.5, rng.uniform(0.25, 0.4)))
        for _ in range(12):
            spot = (int(x + rng.normal(0, 15)), int(horizon - tall * 0.7 + rng.normal(0, 13)))
            leaf = hsv(rng.uniform(0.22, 0.36), 0.5, rng.uniform(0.4, 0.62))
            cv2.circle(image, spot, int(rng.uniform(9, 16)), leaf, -1, cv2.LINE_AA)
    hue, value = rng.uniform(0.2, 0.34), rng.uniform(0.55, 0.75)
    _gradient(image[horizon:], hsv(hue, 0.42, value * 0.85), hsv(hue, 0.45, value))
    for _ in range(150):  # grass
        x, y = rng.uniform(0, width), rng.uniform(horizon, height)
        blade = (int(x + rng.uniform(-3, 3)), int(y - rng.uniform(2, 7)))
        cv2.line(image, (int(x), int(y)), blade, hsv(hue, 0.5, value * rng.uniform(0.75, 1.1)), 1, cv2.LINE_AA)


def _shore(rng: np.random.Generator, image: Image, horizon: int) -> None:
    height, width = image.shape[:2]
    _sky(rng, image, horizon)
    sun = (int(rng.uniform(0, width)), int(horizon * rng.uniform(0.15, 0.5)))
    cv2.circle(image, sun, int(rng.uniform(14, 24)), hsv(rng.uniform(0.08, 0.15), 0.3, 1), -1, cv2.LINE_AA)
    sea, top = rng.uniform(0.48, 0.6), int(horizon * rng.uniform(0.58, 0.72))
    _gradient(image[top:horizon], hsv(sea, 0.6, rng.uniform(0.5, 0.7)), hsv(sea - 0.03, 0.35, 0.85))
    for _ in range(25):  # waves
        x, y = rng.uniform(0, width), rng.uniform(top + 4, horizon)
        cv2.line(image, (int(x), int(y)), (int(x + rng.uniform(8, 30)), int(y)), hsv(sea, 0.15, 0.92), 1, cv2.LINE_AA)
    for _ in range(rng.integers(1, 4)):  # boats
        x, y, half = rng.uniform(0, width), top + rng.uniform(2, 14), rng.uniform(9, 16)
        hull = np.array([[x - half, y - 5], [x + half, y - 5], [x + half * 0.6, y], [x - half * 0.6, y]], np.int32)
        sail = np.array([[x, y - 7], [x, y - 7 - 2.4 * half], [x + half, y - 7]], np.int32)
        cv2.fillConvexPoly(image, hull, hsv(rng.uniform(), 0.6, 0.5), cv2.LINE_AA)
        cv2.fillConvexPoly(image, sail, hsv(rng.uniform(), rng.uniform(0, 0.4), 0.95), cv2.LINE_AA)
    sand, value = rng.uniform(0.09, 0.13), rng.uniform(0.7, 0.88)
    _gradient(image[horizon:], hsv(sand, 0.38, value * 0.92), hsv(sand, 0.32, value))
    cv2.line(image, (0, horizon), (width, horizon), hsv(sea, 0.05, 0.97), 3, cv2.LINE_AA)  # surf
    for _ in range(120):  # pebbles
        spot = (int(rng.uniform(0, width)), int(rng.uniform(horizon + 4, height)))
        cv2.circle(image, spot, 1, hsv(sand, 0.35, value * rng.uniform(0.8, 1.08)), -1, cv2.LINE_AA)


def _add_lighting(rng: np.random.Generator, image: Image) -> Image:
    """Add light from one side, darker corners (vignetting) and fine noise."""
    height, width = image.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    gain = 1 + rng.uniform(-0.12, 0.12) * x - rng.uniform(0.02, 0.12) * (x * x + y * y)
    texture = rng.normal(0, rng.uniform(1, 3), (height, width))
    return np.clip(image * gain[..., None] + texture[..., None], 0, 255).astype(np.uint8)
