"""Reading frames back from the packs that extract_frames wrote.

A pack is a file of JPEG images back to back. `index.npy` has one row a frame: pack, byte offset, byte length.
Only the wanted bytes are read, and only the wanted frames decoded. Files are read and not mapped: pages of a map count
as memory of each process that touches them, so loaders would grow with the number of videos.

Shapes: T frames, H height, W width, 3 colours (RGB), V videos.
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
USABLE = ("ok", "truncated")  # truncated: its end could not be decoded, but what came before is stored
ROW = np.dtype((np.int64, 3))  # of index.npy
FramesArray = npt.NDArray[np.uint8]


class FrameReader:
    """Decodes frames of videos by number. It is all that a loader process needs: 8 bytes a video, and no open file.

    Attributes:
        folder: a frames folder.
        first_V: row of `index.npy` at which each video starts.
    """

    def __init__(self, folder: Path, first_V: npt.NDArray[np.int64]) -> None:
        self.folder, self.first_V = folder, first_V
        self._rows_at = np.load(folder / "index.npy", mmap_mode="r").offset  # bytes that the file's header takes

    def read(self, video: int, frames: npt.NDArray[np.int64]) -> FramesArray:
        """See `FrameStore.read`."""
        rows, clip = self._rows(video, frames), None
        path = f"{self.folder}/pack-{rows[0][0]:05d}.bin"  # all frames of a video lie in one pack
        with open(path, "rb", buffering=0) as pack:
            for t, (_, offset, length) in enumerate(rows):
                pack.seek(offset)
                jpeg = pack.read(length)
                image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB) if jpeg else None
                if image is None:
                    raise UserError(f"{path}: damaged at byte {offset}: remove {self.folder}, run again")
                if clip is None:
                    clip = np.empty((len(rows), *image.shape), np.uint8)
                clip[t] = image  # at once, while it is in the processor's cache
        assert clip is not None
        return clip

    def _rows(self, video: int, frames: npt.NDArray[np.int64]) -> list[list[int]]:
        """Pack, byte offset and byte length of each frame; one read, from the first of the frames to the last."""
        first, last = int(frames.min()), int(frames.max())
        with open(f"{self.folder}/index.npy", "rb", buffering=0) as index:
            index.seek(self._rows_at + ROW.itemsize * (int(self.first_V[video]) + first))
            rows = index.read(ROW.itemsize * (last - first + 1))
        found: list[list[int]] = np.frombuffer(rows, ROW)[frames - first].tolist()
        return found


class FrameStore:
    """The usable videos of a frames folder, by number, in the order of its videos.csv.

    Attributes:
        table: one row a usable video, with the columns of `data/frames/videos.csv`.
        reader: decodes their frames; for datasets, which loader processes get a copy of, instead of all this.
    """

    def __init__(self, folder: Path, split: str | None = None) -> None:
        """Open a frames folder; keep the videos of one split ("train" or "test"), or all.

        Raises:
            UserError: the folder holds no finished extraction, or a group stands on both sides of the split.
        """
        try:
            found = pd.read_csv(folder / "videos.csv", keep_default_na=False, dtype=dict.fromkeys(TEXT, str))
        except FileNotFoundError:
            raise UserError(f"{folder}/videos.csv: no such file: run `dvc repro extract_frames`") from None
        check_split(folder / "videos.csv", found.group, found.split)
        usable = found[found.status.isin(USABLE)]
        first_V = (usable.frames.cumsum() - usable.frames).to_numpy()
        self.table = usable.reset_index(drop=True)
        self.reader = FrameReader(folder, first_V)
        if split:
            self.keep((self.table.split == split).to_numpy())

    def __len__(self) -> int:
        return len(self.table)

    def keep(self, rows: npt.NDArray[np.bool_]) -> None:
        """Keep only some of the videos, given one bool a video; numbers then count those kept."""
        self.table = self.table[rows].reset_index(drop=True)
        self.reader = FrameReader(self.reader.folder, self.reader.first_V[rows])

    def some(self, videos: npt.NDArray[np.int64]) -> "FrameStore":
        """These videos alone, in this order."""
        chosen = copy.copy(self)
        chosen.table = self.table.iloc[videos].reset_index(drop=True)
        chosen.reader = FrameReader(self.reader.folder, self.reader.first_V[videos])
        return chosen

    def leave_out_shorter(self, needed: int, room_for: str, keys: str) -> pd.DataFrame:
        """Keep only videos of at least `needed` frames.

        Args:
            needed: frames.
            room_for: what needs them, for the reason.
            keys: the parameters that ask for them, for the error.

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
            video: number of the video, 0 to len - 1.
            frames: T frame numbers within the video, at least one, in any order.

        Returns:
            uint8 [T, H, W, 3], RGB.

        Raises:
            UserError: a frame cannot be decoded; names the pack.
        """
        return self.reader.read(video, frames)
