"""Write files so that an error on a full disk names the file, and check the free space beforehand."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

if TYPE_CHECKING:  # not needed by processes that only decode, and slow to import
    import pandas as pd

from mofore.errors import UserError


@contextmanager
def writing(path: Path, mode: Literal["wb", "r+b"] = "wb") -> Iterator[BinaryIO]:
    """Open `path` for writing bytes, anew or (`r+b`) over those it has.

    Its folder is made if absent: DVC and git remove folders that a stopped experiment has left empty.

    An OSError on the way (a full disk, say) carries the file's name: Python itself names the file only when opening
    fails, not when writing or closing does.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open(mode) as file:
            yield file
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_json(path: Path, value: object) -> None:
    """Write one value as indented JSON. A file of that name is replaced: it may be a link into DVC's cache."""
    path.unlink(missing_ok=True)
    with writing(path) as file:
        file.write((json.dumps(value, indent=2) + "\n").encode())


def write_csv(path: Path, table: "pd.DataFrame", number: str | None = None) -> None:
    """A table without its index, numbers in the format `number` ("%.6g", say), the same bytes on every system."""
    with writing(path) as file:
        file.write(table.to_csv(index=False, float_format=number, lineterminator="\n").encode())


def need_space(folder: Path, needed: int, what: str) -> None:
    """Check that the disk of an existing folder has `needed` bytes free, for `what`.

    Raises:
        UserError: it has less; says how much less.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            f"{folder}: {what} needs {needed / 1e9:,.1f} GB, but {free / 1e9:,.1f} GB are free on this disk: free "
            f"{(needed - free) / 1e9:,.1f} GB more, or move the project to a larger disk"
        )
