"""Writing files so that a full disk is told by name."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """Open `path` for writing bytes; an OSError on the way (a full disk, say) carries the file's name.

    Python names the file only when opening fails, not when writing or closing does.
    """
    try:
        with path.open("wb") as file:
            yield file
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
