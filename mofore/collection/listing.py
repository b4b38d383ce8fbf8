"""Reads CSVs that say something of videos of a collection, and finds the videos that their paths mean.

A path is absolute, or relative to the CSV or to the working folder, or the end of a path that only one video has.
"""

import csv
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path, PurePath

from mofore.errors import UserError
from mofore.utils.text import some_names
from mofore.videos.folder import clean

DELIMITERS = ",;\t"  # spreadsheets of many countries write semicolons


class Files:
    """The files of a collection, to be found by any of the forms of a path.

    Args:
        files: absolute paths.
        csv: whose paths are looked for.
    """

    def __init__(self, files: Sequence[str], csv: Path) -> None:
        self.csv = csv
        self.bases = (csv.absolute().parent, Path.cwd())
        self.by_path = {clean(file): file for file in files}
        self.by_name: dict[str, list[str]] = defaultdict(list)
        for file in sorted(self.by_path):
            self.by_name[PurePath(file).name].append(file)

    def find(self, text: str, line: int) -> str | None:
        """The file that a path of a line means; None if it means none of them.

        Raises:
            UserError: the path is empty, or may mean several.
        """
        if not clean(text):
            raise UserError(f"{self.csv}: line {line}: the path is empty: name a video, or remove the line")
        found = self._find(text)
        if len(found) > 1:
            which = some_names(found, 2)
            raise UserError(f"{self.csv}: line {line}: '{clean(text)}' may be {which}: give more of the path")
        return found[0] if found else None

    def _find(self, text: str) -> list[str]:
        for base in self.bases:
            for written in (text, clean(text)):
                for normal in (os.path.normpath, os.path.realpath):
                    if file := self.by_path.get(clean(normal(base / written))):
                        return [file]
        if any(os.path.lexists(base / text) for base in self.bases):
            return []  # another file, which the collection does not have
        parts = PurePath(os.path.normpath(clean(text))).parts
        same_name = self.by_name.get(PurePath(*parts).name, [])
        return [self.by_path[file] for file in same_name if PurePath(file).parts[-len(parts) :] == parts]


def read_rows(path: Path, column: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and cells by column name of each row.

    Args:
        path: the CSV, in UTF-8, with commas, semicolons or tabs.
        column: that it must have besides `path`.

    Raises:
        UserError: it cannot be read, or has wrong columns.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            delimiter = max(DELIMITERS, key=first.count)  # of equals the first
            reader = csv.reader(chain([first], file), delimiter=delimiter, strict=True)
            header = [clean(cell).lower() for cell in next(reader, [])]
            if not header:
                raise UserError(f"{path}: is empty: its first line must be path,{column}")
            if not {"path", column} <= set(header) or len(set(header)) < len(header):
                raise UserError(
                    f"{path}: line 1: the columns are '{some_names(header, 8)}', but path and {column} are needed, "
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
