"""Reading frames back from the packs that extract_frames wrote.

A pack is a file of JPEG images back to back. `index.npy` has one row a frame: pack, byte offset, byte length.
Only the wanted frames are read and decoded; packs and index are memory maps, so processes share one copy.

Shapes: T frames, H height, W width, 3 colours (RGB).
"""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from mofore.errors import UserError

TEXT = ("video", "label", "group", "split", "status", "reason")  # columns of videos.csv that are not numbers
FramesArray = npt.NDArray[np.uint8]


class PackedVideos:
    """The usable videos of a frames folder, by number, in the order of its videos.csv.

    Attributes:
        table: one row a usable video, with the columns of `data/frames/videos.csv`.
    """

    def __init__(self, folder: Path, split: str | None = None) -> None:
        """Open a frames folder; keep the videos of one split ("train" or "test"), or all.

        Raises:
            UserError: the folder holds no finished extraction.
        """
        self.folder = folder
        try:
            found = pd.read_csv(folder / "videos.csv", keep_default_na=False, dtype=dict.fromkeys(TEXT, str))
        except FileNotFoundError:
            raise UserError(f"{folder}/videos.csv: no such file: run `dvc repro extract_frames`") from None
        usable = found[found.status.isin(("ok", "truncated"))].copy()
        usable["first"] = usable.frames.cumsum() - usable.frames
        self.table = usable[usable.split == split].reset_index(drop=True) if split else usable.reset_index(drop=True)
        self._first = self.table["first"].to_numpy()
        self._index = np.load(folder / "index.npy", mmap_mode="r")
        self._packs: dict[int, npt.NDArray[np.uint8]] = {}

    def __len__(self) -> int:
        return len(self.table)

    def keep(self, rows: npt.NDArray[np.bool_]) -> None:
        """Keep only some of the videos, given one bool a video; numbers then count those kept."""
        self.table = self.table[rows].reset_index(drop=True)
        self._first = self.table["first"].to_numpy()

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
            frames: T frame numbers within the video, in any order.

        Returns:
            uint8 [T, H, W, 3], RGB.
        """
        return np.stack([self._decode(row) for row in self._first[video] + frames])

    def _decode(self, row: int) -> FramesArray:
        pack, offset, length = self._index[row].tolist()
        if pack not in self._packs:
            self._packs[pack] = np.memmap(self.folder / f"pack-{pack:05d}.bin", dtype=np.uint8, mode="r")
        image = cv2.imdecode(self._packs[pack][offset : offset + length], cv2.IMREAD_COLOR_RGB)
        if image is None:
            raise UserError(
                f"{self.folder}/pack-{pack:05d}.bin: damaged at byte {offset}: remove {self.folder}, run again"
            )
        return image.astype(np.uint8, copy=False)
