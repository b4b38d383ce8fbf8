"""Read frames back from the packs that the stage extract_frames wrote; extract.py and manifest.py describe the files.

Only the requested bytes are read, and only the requested frames are decoded. Files are read, not memory-mapped: mapped
pages count as memory of each process that touches them, so the memory of loader processes would grow with the number of
videos.

Shapes: T frames, H height, W width, C=3 colours (RGB), V videos.
"""

import copy
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from mofore.errors import UserError
from mofore.splits import check_split

TEXT = ("video", "label", "group", "split", "status", "reason")  # columns of videos.csv that are not numbers
USABLE = ("ok", "truncated")  # truncated: later frames could not be decoded, the earlier ones are stored
INDEX_ROW = np.dtype((np.int64, 3))  # pack number, byte offset, byte length of a frame
FramesArray = npt.NDArray[np.uint8]


class FrameReader:
    """Decodes frames of a video, given their numbers.

    A loader process needs only this part of a `FrameStore`. It takes 8 bytes per video and keeps no file open.

    Attributes:
        folder: the folder of the packs.
        first_V: int64 [V], the row of `index.npy` at which each video starts.
    """

    def __init__(self, folder: Path, first_V: npt.NDArray[np.int64]) -> None:
        self.folder, self.first_V = folder, first_V
        self._header_bytes = np.load(folder / "index.npy", mmap_mode="r").offset

    def read(self, video: int, frames: npt.NDArray[np.int64]) -> FramesArray:
        """See `FrameStore.read`."""
        rows = self._index_rows(video, frames)
        clip_THWC = None
        path = f"{self.folder}/pack-{rows[0][0]:05d}.bin"  # all frames of a video lie in one pack
        with open(path, "rb", buffering=0) as pack:
            for t, (_, offset, length) in enumerate(rows):
                pack.seek(offset)
                jpeg = pack.read(length)
                image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB) if jpeg else None
                if image is None:
                    raise UserError(f"{path}: damaged at byte {offset}: remove {self.folder} and run again")
                if clip_THWC is None:
                    clip_THWC = np.empty((len(rows), *image.shape), np.uint8)
                clip_THWC[t] = image  # copied at once, while the image is in the CPU cache
        assert clip_THWC is not None
        return clip_THWC

    def _index_rows(self, video: int, frames: npt.NDArray[np.int64]) -> list[list[int]]:
        """The rows of `index.npy` of some frames, found with one read from the first of the frames to the last."""
        first, last = int(frames.min()), int(frames.max())
        with open(f"{self.folder}/index.npy", "rb", buffering=0) as index:
            index.seek(self._header_bytes + INDEX_ROW.itemsize * (int(self.first_V[video]) + first))
            rows = index.read(INDEX_ROW.itemsize * (last - first + 1))
        found: list[list[int]] = np.frombuffer(rows, INDEX_ROW)[frames - first].tolist()
        return found


class FrameStore:
    """The usable videos of a frames folder. They have numbers from 0, in the order of its `videos.csv`.

    Attributes:
        table: one row per usable video, with the columns of `data/frames/videos.csv`.
        reader: decodes their frames. A dataset holds the reader and not the store, since each loader process gets a
            copy of the dataset.
    """

    def __init__(self, folder: Path, split: str | None = None) -> None:
        """Open a frames folder.

        Args:
            folder: `data/frames`, or a folder like it.
            split: "train" or "test" to use only the videos of that side, None for all videos.

        Raises:
            UserError: the folder has no `videos.csv`, or a group is on both sides of the split.
        """
        try:
            found = pd.read_csv(folder / "videos.csv", keep_default_na=False, dtype=dict.fromkeys(TEXT, str))
        except FileNotFoundError:
            raise UserError(f"{folder}/videos.csv: no such file: run `dvc repro manifest`") from None
        check_split(folder / "videos.csv", found.group, found.split)
        usable = found[found.status.isin(USABLE)]
        first_V = (usable.frames.cumsum() - usable.frames).to_numpy()
        self.table = usable.reset_index(drop=True)
        self.reader = FrameReader(folder / "packs", first_V)
        if split:
            self.keep((self.table.split == split).to_numpy())

    def __len__(self) -> int:
        return len(self.table)

    def keep(self, rows: npt.NDArray[np.bool_]) -> None:
        """Keep only the videos whose entry in the bool array `rows` [V] is True, and number them from 0 again."""
        self.table = self.table[rows].reset_index(drop=True)
        self.reader = FrameReader(self.reader.folder, self.reader.first_V[rows])

    def select(self, videos: npt.NDArray[np.int64]) -> "FrameStore":
        """A new store of the videos with these numbers, in this order."""
        selected = copy.copy(self)
        selected.table = self.table.iloc[videos].reset_index(drop=True)
        selected.reader = FrameReader(self.reader.folder, self.reader.first_V[videos])
        return selected

    def leave_out_shorter(self, needed: int, room_for: str, keys: str) -> pd.DataFrame:
        """Leave out the videos of fewer than `needed` frames.

        Args:
            needed: number of frames.
            room_for: what needs so many frames, for the reason.
            keys: the parameters that determine `needed`, for the error.

        Returns:
            The videos left out, with columns video, frames, reason.

        Raises:
            UserError: no video is long enough.
        """
        long_enough = self.table.frames >= needed
        if not long_enough.any():
            longest = self.table.frames.max() if len(self) else 0
            raise UserError(
                f"params.yaml: {keys} need {needed} frames, but the longest video has {longest}: lower them"
            )
        left_out = self.table.loc[~long_enough, ["video", "frames"]].copy()
        left_out["reason"] = f"shorter than {needed} frames: no room for {room_for}"
        self.keep(long_enough.to_numpy())
        return left_out

    def read(self, video: int, frames: npt.NDArray[np.int64]) -> FramesArray:
        """Decode some frames of one video.

        Args:
            video: number of the video, 0 to len(self) - 1.
            frames: T frame numbers within the video, at least one, in any order; a number may occur twice.

        Returns:
            uint8 [T, H, W, C], RGB.

        Raises:
            UserError: a frame cannot be decoded; the message names the pack.
        """
        return self.reader.read(video, frames)
