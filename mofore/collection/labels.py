"""Read a CSV with the labels of a few videos of a collection.

Columns are path and label; group is optional and says which videos belong together (recording, actor, scene). Others do
not count, except `source`: a row whose source is "predicted" is no label, so what `mofore sort` wrote can be corrected,
its source set to "given", and be read again. A path is absolute, or relative to the CSV or to the working folder, or
the end of a path that only one video of the collection has.
"""

import csv
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from mofore.errors import UserError
from mofore.utils.text import counted, some_names
from mofore.videos.folder import clean

GIVEN, PREDICTED = "given", "predicted"  # values of column `source`
DELIMITERS = ",;\t"  # spreadsheets of many countries write semicolons


@dataclass(frozen=True)
class Row:
    """What the CSV says of a video: its label and group, empty where it gives none, and the line."""

    label: str
    group: str
    line: int


def read_labels(path: Path, files: Sequence[str]) -> dict[str, Row]:
    """Read the CSV.

    Args:
        path: the CSV, in UTF-8, with commas, semicolons or tabs.
        files: absolute paths of all videos of the collection.

    Returns:
        By file, for the files that the CSV lists.

    Raises:
        UserError: the CSV cannot be read, has wrong columns, names videos that the collection does not have, or gives
            one video two labels or groups.
    """
    found: dict[str, Row] = {}
    unknown: list[str] = []
    collection = _Files(files, path.absolute().parent)
    for line, cells in _rows(path):
        where = f"{path}: line {line}"
        if not clean(cells["path"]):
            raise UserError(f"{where}: the path is empty: name a video, or remove the line")
        matching = collection.find(cells["path"])
        if not matching:
            unknown.append(f"{clean(cells['path'])} (line {line})")
            continue
        if len(matching) > 1:
            which = some_names(matching, 2)
            raise UserError(f"{where}: '{clean(cells['path'])}' may be {which}: give more of the path")
        is_label = clean(cells.get("source", "")).lower() != PREDICTED
        row = Row(clean(cells["label"]) if is_label else "", clean(cells.get("group", "")), line)
        earlier = found.get(matching[0], row)
        for what, one, other in (("label", earlier.label, row.label), ("group", earlier.group, row.group)):
            if one and other and one != other:
                raise UserError(
                    f"{where}: '{clean(cells['path'])}' has {what} '{other}', but '{one}' in line {earlier.line}: "
                    "remove one of the lines"
                )
        found[matching[0]] = Row(row.label or earlier.label, row.group or earlier.group, earlier.line)
    if unknown:
        raise UserError(
            f"{path}: {counted(len(unknown), 'video is', 'videos are')} not in the table: {some_names(unknown, 3)}: "
            "correct the paths, remove the lines, or embed these videos"
        )
    return found


class _Files:
    """The files of a collection, to be found by any of the forms of a path."""

    def __init__(self, files: Sequence[str], folder: Path) -> None:
        self.bases = (folder, Path.cwd())
        self.by_path = {clean(file): file for file in files}
        self.by_name: dict[str, list[str]] = defaultdict(list)
        for file in sorted(self.by_path):
            self.by_name[PurePath(file).name].append(file)

    def find(self, text: str) -> list[str]:
        """The files that a path may mean."""
        for base in self.bases:
            for written in (text, clean(text)):
                for normal in (os.path.normpath, os.path.realpath):
                    if file := self.by_path.get(clean(normal(base / written))):
                        return [file]
        parts = PurePath(os.path.normpath(clean(text))).parts
        same_name = self.by_name.get(PurePath(*parts).name, [])
        return [self.by_path[file] for file in same_name if PurePath(file).parts[-len(parts) :] == parts]


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and cells by column name of each row."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            delimiter = max(DELIMITERS, key=first.count)  # of equals the first
            file.seek(0)
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            header = [clean(cell).lower() for cell in next(reader, [])]
            if not header:
                raise UserError(f"{path}: is empty: its first line must be path,label")
            if not {"path", "label"} <= set(header) or len(set(header)) < len(header):
                raise UserError(
                    f"{path}: line 1: the columns are '{some_names(header, 8)}', but path and label are needed, "
                    "each once"
                )
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue
                if any("\0" in cell for cell in cells):
                    raise UserError(f"{path}: line {reader.line_num}: a cell has the character NUL: save it as text")
                if len(cells) != len(header):
                    raise UserError(
                        f"{path}: line {reader.line_num}: {len(cells)} cells for {len(header)} columns: put cells that "
                        f"contain '{delimiter}' in double quotes"
                    )
                yield reader.line_num, dict(zip(header, cells, strict=True))
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8: save it as 'CSV UTF-8'") from None
    except csv.Error as error:
        raise UserError(f"{path}: line {reader.line_num}: not valid CSV: {error}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
