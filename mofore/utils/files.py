"""Writes files with errors that name the file, and checks the free disk space."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

if TYPE_CHECKING:  # pandas is slow to import, and decoder processes do not need it
    import pandas as pd

from mofore.errors import UserError


@contextmanager
def writing(path: Path, mode: Literal["wb", "r+b"] = "wb") -> Iterator[BinaryIO]:
    """Open a binary file for writing: a new file (`wb`), or an existing one to be modified (`r+b`).

    The folder is created if it does not exist, because DVC and git remove folders that a stopped experiment left empty.

    Raises:
        OSError: opening, writing or closing fails, for example on a full disk. `filename` is always set; Python itself
            sets it only when opening fails.
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
    """Write a value as indented JSON.

    An existing file is removed first, because it may be a link into DVC's cache.
    """
    path.unlink(missing_ok=True)
    with writing(path) as file:
        file.write((json.dumps(value, indent=2) + "\n").encode())


def write_csv(path: Path, table: "pd.DataFrame", number: str | None = None) -> None:
    """Write a table as CSV without its index. Line ends are LF on every system.

    Args:
        path: the file to write.
        table: its columns are written in their order.
        number: format of floating-point numbers, for example "%.6g"; None: as pandas prints them.
    """
    with writing(path) as file:
        file.write(table.to_csv(index=False, float_format=number, lineterminator="\n").encode())


def need_space(folder: Path, needed: int, what: str) -> None:
    """Check the free disk space.

    Args:
        folder: an existing folder on the disk.
        needed: bytes.
        what: the work that needs the space, for the error message ("unpacking UCF101.zip").

    Raises:
        UserError: less is free; the message says how much is missing.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            f"{folder}: {what} needs {needed / 1e9:,.1f} GB, but {free / 1e9:,.1f} GB are free on this disk: free "
            f"{(needed - free) / 1e9:,.1f} GB more, or move the project to a larger disk"
        )
