"""Augmentation, drawn once a clip and apart for context and future.

Geometry is done where the frames are decoded, colour as one affine map a clip, applied to a whole batch on the device.

Shapes: B batch, T frames, H height, W width, C = 3 colours (RGB).
"""

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mofore.config import Augment

LUMA = np.array([0.299, 0.587, 0.114])
MEAN, STD = 0.45, 0.225  # of natural video's pixels, the values of PySlowFast's Kinetics models


def random_crop(
    frames_THWC: npt.NDArray[np.uint8], size: int, augment: Augment, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """One random square-ish crop, resized, mirrored by chance; the same for all frames. Returns [T, size, size, C].

    Area crop_min..1 of the frame and aspect 3/4..4/3, as in "Going deeper with convolutions" (Szegedy et al., 2015).
    """
    _, height, width, _ = frames_THWC.shape
    area = height * width * rng.uniform(augment.crop_min, 1)
    aspect = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
    h = min(height, round(float(np.sqrt(area / aspect))))
    w = min(width, round(float(np.sqrt(area * aspect))))
    top, left = rng.integers(height - h + 1), rng.integers(width - w + 1)
    mirrored = rng.random() < augment.flip
    clip_THWC = np.empty((len(frames_THWC), size, size, 3), np.uint8)
    for out_HWC, crop_hwC in zip(clip_THWC, frames_THWC[:, top : top + h, left : left + w], strict=True):
        cv2.resize(crop_hwC, (size, size), dst=out_HWC, interpolation=cv2.INTER_LINEAR)
        if mirrored:
            cv2.flip(out_HWC, 1, dst=out_HWC)
    return clip_THWC


def center_crop(frames_THWC: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    """The central square of side `size`: [T, size, size, C]. Frames are at least that large."""
    _, height, width, _ = frames_THWC.shape
    top, left = (height - size) // 2, (width - size) // 2
    return frames_THWC[:, top : top + size, left : left + size]


def random_colour(augment: Augment, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Brightness, contrast, saturation and grayscale of one clip as an affine map of RGB in 0..1: [3, 4].

    With strength s each factor is uniform in 1 - s..1 + s (as torchvision's ColorJitter), except that contrast turns
    about mid-gray, so that all of it is one matrix.
    """
    brightness, contrast, saturation = rng.uniform(1 - augment.jitter, 1 + augment.jitter, size=3)
    if rng.random() < augment.grayscale:
        saturation = 0.0
    mix_33 = saturation * np.eye(3) + (1 - saturation) * np.tile(LUMA, (3, 1))
    offset_31 = np.full((3, 1), 0.5 * (1 - contrast))
    return np.hstack([brightness * contrast * mix_33, offset_31]).astype(np.float32)


def to_input(frames_BTHWC: Tensor, input: str, colour_B34: Tensor | None = None) -> Tensor:
    """Stored frames to what an encoder sees.

    Args:
        frames_BTHWC: uint8; for residual input one frame more than the clip has.
        input: "rgb": normalised colours; "residual": differences of successive frames on the same scale.
        colour_B34: one affine map of colours a clip, or none.

    Returns:
        float32 [B, C, T, H, W], channels last in memory.
    """
    x_BTHWC = frames_BTHWC.float() / 255
    if colour_B34 is not None:
        matrix_B33, offset_B3 = colour_B34[:, :, :3], colour_B34[:, :, 3]
        shape = x_BTHWC.shape
        x_BNC = torch.baddbmm(offset_B3[:, None], x_BTHWC.flatten(1, 3), matrix_B33.transpose(1, 2))
        x_BTHWC = x_BNC.view(shape).clamp_(0, 1)
    x_BTHWC = x_BTHWC.diff(dim=1) / STD if input == "residual" else (x_BTHWC - MEAN) / STD
    return x_BTHWC.permute(0, 4, 1, 2, 3)


def play_backwards(x_BCTHW: Tensor, input: str) -> Tensor:
    """What `to_input` would give for the same frames in reverse order; differences also change their sign."""
    backwards_BCTHW = x_BCTHW.flip(2)
    return -backwards_BCTHW if input == "residual" else backwards_BCTHW
