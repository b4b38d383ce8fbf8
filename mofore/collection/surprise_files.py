"""Measures how surprising the moments of videos are, one video after the other, and writes a table and a picture each.

For a video `a/b.mp4` of a folder these are `a/b.mp4.csv` and `a/b.mp4.png` of the output folder. The table has columns
`surprise_sink.COLUMNS`: times with 3 decimals, scores with 5 digits.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from mofore.collection.find import find_videos
from mofore.collection.output import check_folder, replacing
from mofore.collection.surprise import check_options, surprise
from mofore.collection.surprise_chart import draw_surprise
from mofore.collection.surprise_sink import COLUMNS, Peak
from mofore.errors import UserError
from mofore.utils.progress import progress
from mofore.utils.text import counted

TIMES = ("time_s", "gap_s")  # columns
HEADER = ",".join(COLUMNS).encode()


@dataclass(frozen=True)
class MeasuredVideo:
    """A video that was measured.

    Attributes:
        file: the video.
        table, picture: what was written.
        peaks: see `Surprise`, without their pictures.
        gap_s, reason, note: see `Surprise`.
    """

    file: Path
    table: Path
    picture: Path
    peaks: list[Peak]
    gap_s: float
    reason: str
    note: str


def measure_videos(
    videos: str | Path,
    out: Path = Path("surprise"),
    model: Path = Path("data/model"),
    gap: float = 0.0,
    step: float = 0.2,
    grid: int = 0,
    quiet: bool = False,
) -> tuple[list[MeasuredVideo], dict[str, str]]:
    """Measure all videos that a path names, and write what is found.

    Args:
        videos: a video, a folder, or a pattern.
        out: folder to write to; it is made if need be. Files that an earlier call wrote there are replaced.
        model, gap, step, grid: see `surprise`.
        quiet: show no progress.

    Returns:
        The videos that were measured; and those that cannot be used, with reasons, by path.

    Raises:
        UserError: nothing is found; a number is out of range; the model is missing; no video can be used; `out` cannot
            be written to, or has files of the same names that `mofore` did not write.
        OSError: a file cannot be written; the error has its name.
    """
    files = find_videos([videos])
    check_options(model, gap, step, grid)
    targets = [out / name for name in _names(videos, files)]
    for target in targets:
        _check_target(*_outputs(target))
    found: list[MeasuredVideo] = []
    unusable: dict[str, str] = {}
    todo = zip(files, targets, strict=True)
    for file, target in progress(todo, len(files), "surprise", "video", hidden=quiet):
        try:
            of_video = surprise(file, model, gap, step, grid)
        except UserError as error:
            if len(files) == 1:
                raise
            unusable[str(file)] = str(error)
            continue
        table, picture = _outputs(target)
        _write_table(table, of_video.table)
        draw_surprise(of_video, file.name, picture)
        peaks = [replace(peak, picture=b"") for peak in of_video.peaks]  # which would fill the memory
        found.append(MeasuredVideo(file, table, picture, peaks, of_video.gap_s, of_video.reason, of_video.note))
    if not found:
        raise UserError(
            f"{videos}: none of {counted(len(files), 'video')} can be used: {next(iter(unusable.values()))}"
        )
    return found, unusable


def _names(videos: str | Path, files: Sequence[Path]) -> list[Path]:
    """The files relative to the folder that was named, or else to the innermost one that has all of them."""
    above = [os.path.abspath(videos)] if os.path.isdir(videos) else [str(file.parent) for file in files]
    return [file.relative_to(os.path.commonpath(above)) for file in files]


def _outputs(target: Path) -> tuple[Path, Path]:
    """Table and picture."""
    return target.with_name(f"{target.name}.csv"), target.with_name(f"{target.name}.png")


def _check_target(table: Path, picture: Path) -> None:
    """Raise UserError if these files cannot be written, or would replace files of the user's own."""
    check_folder(table.parent)
    foreign = None
    if table.exists():
        with table.open("rb") as file:
            foreign = table if file.readline().strip() != HEADER else None
    elif picture.exists():
        foreign = picture
    if foreign:
        raise UserError(f"{foreign}: exists and is not of `mofore surprise`: give another --out")


def _write_table(path: Path, table: pd.DataFrame) -> None:
    text = table.assign(**{name: table[name].map("{:.3f}".format) for name in TIMES})
    with replacing(path) as file:
        file.write(text.to_csv(index=False, float_format="%.5g", lineterminator="\n").encode())
