"""Features of clips, and means over them.

Shapes: T frames of a clip, H = W side of a clip, C = 3 colours (RGB), B clips of a batch, D feature dimensions, G parts
of the frame: all of it, then the cells of a grid.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from mofore.collection.encoder import LoadedEncoder
from mofore.collection.gray import frame_difference, to_gray
from mofore.collection.table import GRID
from mofore.embedding.inference import streams_of, view_to_input

FloatArray = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]


class Features(NamedTuple):
    """Features of a clip, or means over clips.

    Attributes:
        x_GD: of the parts of the frame, those of the motion stream first.
        motion, contrast: see `table`.
    """

    x_GD: FloatArray
    motion: float
    contrast: float


class Mean:
    """Mean over clips that come one after the other."""

    def __init__(self) -> None:
        self.count = 0
        self._sum_GD: npt.NDArray[np.float64] | float = 0.0
        self._motion = self._contrast = 0.0

    def add(self, one: Features) -> None:
        """Add a clip."""
        self.count += 1
        self._sum_GD = self._sum_GD + one.x_GD.astype(np.float64)
        self._motion += one.motion
        self._contrast += one.contrast

    def result(self) -> Features:
        """The mean over at least one clip."""
        x_GD = np.asarray(self._sum_GD / self.count, np.float32)
        return Features(x_GD, self._motion / self.count, self._contrast / self.count)


@torch.inference_mode()
def embed_clips(encoder: LoadedEncoder, device: torch.device, batch: dict[int, Image]) -> dict[int, Features]:
    """Features of clips, by first frame, in the order of time."""
    starts = sorted(batch)
    frames_BTHWC = np.stack([batch[start] for start in starts])
    clips_BTHWC = torch.from_numpy(frames_BTHWC).to(device)
    parts = []
    for stream, kind in streams_of(encoder.network):
        parts.append(stream.pyramid(view_to_input(clips_BTHWC, "ordered", encoder.clip.input, 0, kind), GRID))
    x_BGD = torch.cat(parts, dim=2).float().cpu().numpy()
    gray_BTHW = to_gray(frames_BTHWC)
    motion_B = frame_difference(gray_BTHW).tolist()
    contrast_B = gray_BTHW.std(axis=(2, 3)).mean(axis=1).tolist()
    found = zip(x_BGD, motion_B, contrast_B, strict=True)
    return {start: Features(*one) for start, one in zip(starts, found, strict=True)}
