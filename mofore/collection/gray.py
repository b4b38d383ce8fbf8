"""Gray levels of clips, and how much moves in them.

Shapes: T frames of a clip, H = W side of a clip, 3 colours (RGB) last; ... for clips, in one axis or two.
"""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


def to_gray(clips: npt.NDArray[np.uint8]) -> FloatArray:
    """Gray levels, 0 to 255: [..., T, H, W] of clips [..., T, H, W, 3]."""
    return np.asarray(clips @ LUMA, np.float32)


def frame_difference(gray: FloatArray) -> FloatArray:
    """Mean absolute difference of successive frames, in gray levels: [...] of clips [..., T, H, W]."""
    return np.asarray(np.abs(np.diff(gray, axis=-3)).mean(axis=(-3, -2, -1)), np.float32)
