"""On which side of a split each video of a collection is, by a CSV file or by folders."""

import os
from collections.abc import Sequence
from pathlib import Path

from mofore.collection.listing import Files, read_rows
from mofore.errors import UserError
from mofore.utils.text import counted, some_names
from mofore.videos.folder import clean


def find_sides(splits: Path | Sequence[Path], files: list[str]) -> tuple[dict[str, str], list[str]]:
    """Find the side of each video.

    Args:
        splits: a CSV file with columns `path` (see listing.py) and `split`, or two folders or more, each one
            side of the split.
        files: absolute paths of all videos of the collection.

    Returns:
        The side of each file, empty for files that are on none. Then notes, a line each: how many paths of the CSV are
        no video of the collection, and how many videos are on no side, since leaks among these are not seen.

    Raises:
        UserError: the CSV cannot be read, or gives one video two sides; fewer than two sides have a video.
    """
    if isinstance(splits, Path):
        where, (sides, unknown) = str(splits), _by_csv(splits, files)
    else:
        where, unknown = ", ".join(map(str, splits)), []
        sides = _by_folders(splits, files)
    if len(named := {side for side in sides.values() if side}) < 2:
        side = f"only videos of '{named.pop()}'" if named else "none of the videos"
        raise UserError(f"{where}: names {side} of the table, but a split has two sides: check the paths")
    notes = []
    if unknown:
        what = counted(len(unknown), "path is not", "paths are not")
        notes.append(f"{where}: {what} in the table, so leaks of these go unseen: {some_names(unknown, 3)}")
    if on_none := [file for file, side in sides.items() if not side]:
        what = counted(len(on_none), "video of the table is", "videos of the table are")
        notes.append(f"{what} on no side of the split: {some_names(on_none, 3)}")
    return sides, notes


def _by_csv(splits: Path, files: list[str]) -> tuple[dict[str, str], list[str]]:
    """The side of each file, and the paths that are none of them, with their lines."""
    if splits.is_dir():
        raise UserError(f"{splits}: is one folder, but a split has two sides: give two folders, or a CSV file")
    if not splits.is_file():
        raise UserError(f"{splits}: no such file: give a CSV file with columns path and split, or two folders")
    by_path: dict[str, tuple[str, int]] = {}
    unknown: list[str] = []
    collection = Files(files, splits)
    for line, cells in read_rows(splits, "split"):
        path, side = clean(cells["path"]), clean(cells["split"])
        if (found := collection.find(cells["path"], line)) is None:
            unknown.append(f"{path} (line {line})")
            continue
        other, earlier = by_path.setdefault(found, (side, line))
        if side != other:
            raise UserError(
                f"{splits}: line {line}: '{path}' has split '{side}', but '{other}' in line {earlier}: remove one "
                "of the lines"
            )
    return {file: by_path.get(file, ("", 0))[0] for file in files}, unknown


def _by_folders(splits: Sequence[Path], files: list[str]) -> dict[str, str]:
    """The folder that each file is in, the innermost of those that are; empty if there is none."""
    folders = [os.path.abspath(folder) for folder in splits]
    if len(set(folders)) < 2:
        raise UserError("a split has two sides: give two different folders, or a CSV file with path and split")
    sides = {}
    for file in files:
        above = {*Path(file).parents, *Path(os.path.realpath(file)).parents}
        within = [folder for folder in folders if {Path(folder), Path(os.path.realpath(folder))} & above]
        sides[file] = max(within, key=len, default="")
    return sides
