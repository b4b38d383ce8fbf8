"""What is wrong with a collection, found without labels: videos that cannot be used, and those that teach nothing.

Limits of motion and contrast, in gray levels (0 to 255), were set by measurement:

- A video is near-empty (black, or of one colour) below a contrast of EMPTY. Black or gray with camera noise, compressed
  by x264, has 0 to 0.9; the least of 435 real videos of UCF101 and of surveillance cameras is 12.7.
- A video is static below a motion of STATIC. That is as much as compression alone does to a frozen picture: 0 to 0.003
  with x264, 0.09 to 0.26 with MPEG-4. 2 % of the same real videos are below, too: next to nothing moves in them.

A near-empty video is not counted as static, though it mostly is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os.path import commonpath
from pathlib import Path
from typing import Any

import pandas as pd

from mofore.collection.duplicates import find_duplicates
from mofore.collection.table import read_videos
from mofore.utils.text import counted, some_names

EMPTY = 4.0
STATIC = 0.25
EMPTY_MEANS = f"black or of one colour (contrast below {EMPTY:g} gray levels)"
STATIC_MEANS = f"next to nothing moves (motion below {STATIC:g} gray levels)"


@dataclass(frozen=True)
class Health:
    """What was found in a collection. Files are named by their absolute paths.

    Attributes:
        videos: number of files, usable or not.
        hours: length of the usable ones together.
        not_embedded: why a file has no embedding: unreadable, or shorter than a clip.
        truncated: why only the first part of a file is used.
        empty, static: files, see the module.
        duplicates: pairs of files that show the same; None: not looked for.
    """

    videos: int
    hours: float
    not_embedded: Mapping[str, str]
    truncated: Mapping[str, str]
    empty: Sequence[str]
    static: Sequence[str]
    duplicates: Sequence[tuple[str, str]] | None

    def size(self) -> str:
        """Number and length of the videos, in words."""
        hours = f"{self.hours:,.1f} hours" if self.hours >= 1 else f"{60 * self.hours:.1f} minutes"
        return f"{counted(self.videos, 'video')}, {hours}"

    def lines(self) -> list[str]:
        """The summary in plain text, one finding a line; the first line says how much there is."""
        names = short_names([*self.not_embedded, *self.truncated, *self.empty, *self.static])
        reasons = {
            file: f"{names[file]} ({why})" for file, why in [*self.not_embedded.items(), *self.truncated.items()]
        }
        copies = {file for pair in self.duplicates or () for file in pair}
        found = [
            ("video not embedded", "videos not embedded", [reasons[file] for file in self.not_embedded]),
            ("truncated video", "", [reasons[file] for file in self.truncated]),
            (
                f"near-empty video, {EMPTY_MEANS}",
                f"near-empty videos, {EMPTY_MEANS}",
                [names[file] for file in self.empty],
            ),
            (f"static video, {STATIC_MEANS}", f"static videos, {STATIC_MEANS}", [names[file] for file in self.static]),
        ]
        lines = [self.size()]
        lines += [f"{counted(len(files), one, many)}: {some_names(files)}" for one, many, files in found if files]
        if len(lines) > 1 and self.duplicates is not None and not self.duplicates:
            lines.append("no near-duplicates")
        elif self.duplicates:
            pairs = counted(len(self.duplicates), "pair")
            lines.append(f"{pairs} of near-duplicates, among {counted(len(copies), 'video')}")
        if len(lines) == 1:
            copied = "" if self.duplicates is None else "near-duplicate, "
            lines.append(f"nothing wrong found: no {copied}static, near-empty, truncated or unreadable videos")
        return lines

    def as_json(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {
            "videos": self.videos,
            "hours": round(self.hours, 4),
            "not_embedded": dict(self.not_embedded),
            "truncated": dict(self.truncated),
            "near_empty": list(self.empty),
            "static": list(self.static),
            "near_duplicates": None if self.duplicates is None else [list(pair) for pair in self.duplicates],
        }


def health(table: Path, duplicates: bool = True, quiet: bool = False) -> Health:
    """Find out what is wrong with the videos of a table.

    Args:
        table: the file that `mofore embed` wrote.
        duplicates: whether to look for near-duplicates, which takes long; all else takes a moment.
        quiet: show no progress.

    Raises:
        UserError: the file is missing or is no table of `mofore embed`.
    """
    rows = read_videos(table)
    used = rows[rows.motion.notna()]
    empty = used.contrast < EMPTY
    static = (used.motion < STATIC) & ~empty
    return Health(
        videos=len(rows),
        hours=float((used.end_s - used.start_s).sum() / 3600),
        not_embedded=_reasons(rows[rows.motion.isna()]),
        truncated=_reasons(used[used.status == "truncated"]),
        empty=used.file[empty].tolist(),
        static=used.file[static].tolist(),
        duplicates=_duplicates(table, len(used), quiet) if duplicates else None,
    )


def short_names(files: Sequence[str]) -> dict[str, str]:
    """Names of files within the folder that they have in common."""
    folder = common_folder(files)
    return {file: str(Path(file).relative_to(folder)) if folder else file for file in files}


def common_folder(files: Sequence[str]) -> str:
    """The folder that has all of these files in it, or in its folders; empty if there is none."""
    try:
        return commonpath([str(Path(file).parent) for file in files])
    except ValueError:  # no files, or drives of Windows
        return ""


def _duplicates(table: Path, used: int, quiet: bool) -> list[tuple[str, str]]:
    return [(pair.first, pair.second) for pair in find_duplicates(table, quiet=quiet).pairs] if used > 1 else []


def _reasons(rows: pd.DataFrame) -> dict[str, str]:
    return dict(zip(rows.file.tolist(), rows.reason.tolist(), strict=True))
