"""Cache decoded frames in memory.

Each epoch of training reads the same videos again, and reading a frame from memory takes a tenth of the time of
decoding it.

Shapes: T frames read, N frames of the video, H height, W width, C=3 colours (RGB).
"""

import numpy as np
import numpy.typing as npt

from mofore.frames.store import FrameReader, FramesArray


class FrameCache:
    """A `FrameReader` that keeps decoded frames in memory.

    Memory is reserved video by video, in the order of first use. A video that does not fit is decoded at each read.
    """

    def __init__(self, reader: FrameReader, n_frames: npt.NDArray[np.int64], limit: float) -> None:
        """Start with an empty cache.

        Args:
            reader: decodes the frames that are not in the cache.
            n_frames: number of frames of each video.
            limit: bytes that the cache may use.
        """
        self.reader, self.n_frames, self.bytes_left = reader, n_frames, limit
        # By video: its frames [N, H, W, C], and a mask [N] of those that have been decoded.
        self.cached: dict[int, tuple[FramesArray, npt.NDArray[np.bool_]]] = {}

    def read(self, video: int, frames: npt.NDArray[np.int64]) -> FramesArray | list[FramesArray]:
        """Return T frames of a video, uint8 [H, W, C] each; see `FrameStore.read`.

        The caller must not write to them: they may be views of the cache.
        """
        if video not in self.cached:
            decoded_THWC = self.reader.read(video, frames)
            size = decoded_THWC[0].nbytes * int(self.n_frames[video])
            if size <= self.bytes_left:
                self.bytes_left -= size
                shape = (self.n_frames[video], *decoded_THWC.shape[1:])
                # The system gives memory to `np.empty` only where it is filled.
                self.cached[video] = np.empty(shape, np.uint8), np.zeros(self.n_frames[video], bool)
                self._add(video, frames, decoded_THWC)
            return decoded_THWC
        cached_NHWC, is_filled_N = self.cached[video]
        missing = frames[~is_filled_N[frames]]
        if len(missing):
            self._add(video, missing, self.reader.read(video, missing))
        return [cached_NHWC[frame] for frame in frames.tolist()]  # views: a copy would take as long as cropping

    def _add(self, video: int, frames: npt.NDArray[np.int64], decoded_THWC: FramesArray) -> None:
        cached_NHWC, is_filled_N = self.cached[video]
        cached_NHWC[frames] = decoded_THWC
        is_filled_N[frames] = True
