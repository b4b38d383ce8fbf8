"""Shrinks images and planes."""

import cv2
from cv2.typing import MatLike


def resize(image: MatLike, size: tuple[int, int]) -> MatLike:
    """Resize an image: area averaging to shrink it, linear interpolation if a side grows.

    The image is first halved as often as possible. The result is nearly that of a single step, and it takes a half to a
    fifth of the time, since OpenCV has special code for halving.

    Args:
        image: uint8 [H, W, C], or a plane of it, [H, W].
        size: (width, height) of the result.

    Returns:
        uint8 [size[1], size[0], C], or without C.
    """
    image = halve(image, size)
    grows = image.shape[1] < size[0] or image.shape[0] < size[1]
    return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR if grows else cv2.INTER_AREA)


def halve(image: MatLike, size: tuple[int, int]) -> MatLike:
    """Halve an image as often as its sides are even and stay at least as long as those of `size`, (width, height)."""
    height, width = image.shape[:2]
    while width >= 2 * size[0] and height >= 2 * size[1] and width % 2 == height % 2 == 0:
        width, height = width // 2, height // 2
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return image
