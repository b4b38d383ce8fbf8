"""A memory cache of decoded frames.

A small collection is gone through tens of times, and decoding a frame costs ten times what taking it from memory does.

Shapes: T frames, H height, W width, 3 colours (RGB).
"""

import numpy as np
import numpy.typing as npt

from mofore.frames.store import FrameReader, FramesArray


class FrameCache:
    """Reads as `FrameReader` does, and keeps what it has decoded, video by video, as far as the room goes."""

    def __init__(self, reader: FrameReader, n_frames: npt.NDArray[np.int64], limit: float) -> None:
        """Keep nothing as yet.

        Args:
            reader: decodes.
            n_frames: frames of each video.
            limit: bytes that may be kept.
        """
        self.reader, self.n_frames, self.room = reader, n_frames, limit
        self.kept: dict[int, tuple[FramesArray, npt.NDArray[np.bool_]]] = {}  # frames, and which of them are there

    def read(self, video: int, frames: npt.NDArray[np.int64]) -> FramesArray | list[FramesArray]:
        """T frames of a video, uint8 [H, W, 3] each, not to be written to; see `FrameStore.read`."""
        if video not in self.kept:
            decoded = self.reader.read(video, frames)
            size = decoded[0].nbytes * int(self.n_frames[video])
            if size <= self.room:
                self.room -= size
                self.kept[video] = (
                    np.empty((self.n_frames[video], *decoded.shape[1:]), np.uint8),  # takes memory as it is filled
                    np.zeros(self.n_frames[video], bool),
                )
                self._keep(video, frames, decoded)
            return decoded
        stored_NHWC, there_N = self.kept[video]
        missing = frames[~there_N[frames]]
        if len(missing):
            self._keep(video, missing, self.reader.read(video, missing))
        return [stored_NHWC[frame] for frame in frames.tolist()]  # not copied: that would take as long as cropping

    def _keep(self, video: int, frames: npt.NDArray[np.int64], decoded_THWC: FramesArray) -> None:
        stored_NHWC, there_N = self.kept[video]
        stored_NHWC[frames] = decoded_THWC
        there_N[frames] = True
