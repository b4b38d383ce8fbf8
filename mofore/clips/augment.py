"""Augmentation, drawn once a clip and apart for context and future.

Geometry is done where the frames are decoded, colour as one affine map a clip, applied to a whole batch on the device.

Shapes: B batch, T frames, H height, W width, C = 3 colours (RGB), P pixels taken together, R = 3 P their values.
"""

import math

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mofore.config import Augment, Clip

Frames = npt.NDArray[np.uint8] | list[npt.NDArray[np.uint8]]  # [T, H, W, C]

UNCHANGED_34 = np.eye(3, 4, dtype=np.float32)
GRAY_34 = np.tile(np.array([0.299, 0.587, 0.114, 0], np.float32), (3, 1))  # luma, for each colour
MEAN, STD = 0.45, 0.225  # of natural video's pixels, the values of PySlowFast's Kinetics models


def random_crop(frames: Frames, clip: Clip, augment: Augment, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """One random part, resized to a square, mirrored by chance; the same for all frames. Returns [T, size, size, C].

    Area crop_min..1 of the frame and aspect 3/4..4/3, as in "Going deeper with convolutions" (Szegedy et al., 2015);
    with `clip.crop` "none" the aspect is relative to the frame's, so that a part is squeezed as the whole will be.
    """
    height, width, _ = frames[0].shape
    tall, wide = (height, width) if clip.crop == "none" else (math.sqrt(height * width),) * 2
    share, aspect = rng.uniform(augment.crop_min, 1), np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
    h = min(height, round(float(tall * np.sqrt(share / aspect))))
    w = min(width, round(float(wide * np.sqrt(share * aspect))))
    top, left = rng.integers(height - h + 1), rng.integers(width - w + 1)
    part = resized([frame_HWC[top : top + h, left : left + w] for frame_HWC in frames], clip.size)
    if rng.random() < augment.flip:
        for frame_HWC in part:
            cv2.flip(frame_HWC, 1, dst=frame_HWC)
    return part


def evaluated_part(frames: Frames, clip: Clip) -> npt.NDArray[np.uint8]:
    """What evaluations see of frames: all of them squeezed to squares, or their central squares; [T, size, size, C].

    Frames are at least `clip.size` high and wide.
    """
    if clip.crop == "none":
        return resized(frames, clip.size)
    height, width, _ = frames[0].shape
    top, left = (height - clip.size) // 2, (width - clip.size) // 2
    return np.stack([frame_HWC[top : top + clip.size, left : left + clip.size] for frame_HWC in frames])


def resized(frames: Frames, size: int) -> npt.NDArray[np.uint8]:
    """Each frame as a square: [T, size, size, C]."""
    out_THWC = np.empty((len(frames), size, size, 3), np.uint8)
    for out_HWC, frame_HWC in zip(out_THWC, frames, strict=True):
        cv2.resize(frame_HWC, (size, size), dst=out_HWC, interpolation=cv2.INTER_LINEAR)
    return out_THWC


def random_colour(augment: Augment, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Brightness, contrast, saturation and grayscale of one clip as an affine map of RGB in 0..1: [3, 4].

    With strength s each factor is uniform in 1 - s..1 + s (as torchvision's ColorJitter), except that contrast turns
    about mid-gray, so that all of it is one matrix.
    """
    brightness, contrast, saturation, chance = rng.random(4).tolist()
    brightness, contrast, saturation = (
        1 + augment.jitter * (2 * share - 1) for share in (brightness, contrast, saturation)
    )
    if chance < augment.grayscale:
        saturation = 0.0
    colour_34 = (brightness * contrast * saturation) * UNCHANGED_34 + (
        brightness * contrast * (1 - saturation)
    ) * GRAY_34
    colour_34[:, 3] = 0.5 * (1 - contrast)
    return colour_34


def to_input(frames_BTHWC: Tensor, input: str, colour_B34: Tensor | None = None) -> Tensor:
    """Stored frames to what an encoder sees.

    Args:
        frames_BTHWC: uint8; for differences one frame more than the clip has.
        input: "rgb": normalised colours; "residual": differences of successive frames on the same scale; "both": these
            and, as three channels more, the colours of the later frame of each two.
        colour_B34: one affine map of colours a clip, or none.

    Returns:
        float32 [B, C, T, H, W], channels last in memory; C as of `input_channels`.
    """
    scale = 1 / (255 * STD)
    if colour_B34 is None:
        x_BTHWC = frames_BTHWC.float().mul_(scale)  # in two steps: a quarter faster on a CPU
    else:
        x_BTHWC = _affine(frames_BTHWC.float(), colour_B34[:, :, :3] * scale, colour_B34[:, :, 3] / STD)
        x_BTHWC.clamp_(0, 1 / STD)
    if input == "residual":
        x_BTHWC = x_BTHWC.diff(dim=1)
    elif input == "rgb":
        x_BTHWC = x_BTHWC.sub_(MEAN / STD)
    else:
        x_BTHWC = torch.cat([x_BTHWC.diff(dim=1), x_BTHWC[:, 1:] - MEAN / STD], dim=4)
    return x_BTHWC.permute(0, 4, 1, 2, 3)


def input_channels(input: str) -> int:
    """C of what `to_input` gives."""
    return 6 if input == "both" else 3


def _affine(x_BTHWC: Tensor, matrix_B33: Tensor, offset_B3: Tensor) -> Tensor:
    """One affine map of colours a clip.

    Takes several pixels as one row, mapped by a block-diagonal matrix: processors are slow at products with matrices as
    small as 3x3 (on a CPU, eight pixels a row take a third of the time of one).
    """
    batch = len(x_BTHWC)
    pixels = math.gcd(x_BTHWC[0].numel() // 3, 8)
    eye_PP = torch.eye(pixels, device=x_BTHWC.device)
    matrix_BRR = torch.einsum("pq,bij->bpjqi", eye_PP, matrix_B33).reshape(batch, 3 * pixels, 3 * pixels)
    offset_BR = offset_B3.repeat(1, pixels)
    return torch.baddbmm(offset_BR[:, None], x_BTHWC.reshape(batch, -1, 3 * pixels), matrix_BRR).view(x_BTHWC.shape)


def play_backwards(x_BCTHW: Tensor, input: str) -> Tensor:
    """What `to_input` would give for the same frames in reverse order; differences also change their sign."""
    if input == "both":  # of each two frames the later becomes the earlier, which is the later less the difference
        change_BCTHW, colour_BCTHW = x_BCTHW.chunk(2, dim=1)
        return torch.cat([-change_BCTHW, colour_BCTHW - change_BCTHW], dim=1).flip(2)
    backwards_BCTHW = x_BCTHW.flip(2)
    return -backwards_BCTHW if input == "residual" else backwards_BCTHW
