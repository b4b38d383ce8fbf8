"""Writing files so that a full disk is told by name."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

if TYPE_CHECKING:  # not needed by processes that only decode, and slow to import
    import pandas as pd


@contextmanager
def writing(path: Path, mode: Literal["wb", "r+b"] = "wb") -> Iterator[BinaryIO]:
    """Open `path` to write bytes, anew or in place; an OSError on the way (a full disk, say) carries the file's name.

    Python names the file only when opening fails, not when writing or closing does.
    """
    try:
        with path.open(mode) as file:
            yield file
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_json(path: Path, value: object) -> None:
    """One value as indented JSON."""
    with writing(path) as file:
        file.write((json.dumps(value, indent=2) + "\n").encode())


def write_csv(path: Path, table: "pd.DataFrame", number: str | None = None) -> None:
    """A table without its index, numbers in the format `number` ("%.6g", say), the same bytes on every system."""
    with writing(path) as file:
        file.write(table.to_csv(index=False, float_format=number, lineterminator="\n").encode())
