"""Writes what a command has found, without harm to what is there."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from mofore.errors import UserError
from mofore.utils.files import writing


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a file under another name, and rename it when it is complete: an earlier file stays until then.

    Raises:
        OSError: it cannot be written; the error has its name.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with writing(part) as file:
            yield file
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def check_output(path: Path, suffix: str, *inputs: Path) -> None:
    """Refuse to write where the user's own files may be.

    Args:
        path: the file to write.
        suffix: that its name must have, such as ".html".
        inputs: files that are read; the output must be none of them.

    Raises:
        UserError: the name has another suffix, or is that of a folder or an input.
    """
    if path.suffix.lower() != suffix:
        raise UserError(f"{path}: this file would be of kind {suffix}: give a name that ends in {suffix}")
    if path.is_dir():
        raise UserError(f"{path}: is a folder: give the name of a file")
    check_not_read(path, inputs)


def check_not_read(path: Path, inputs: Iterable[Path]) -> None:
    """Refuse to write to a file that is read.

    Raises:
        UserError: the output is one of the inputs.
    """
    if not path.exists():
        return
    for one in inputs:
        if one.exists() and path.samefile(one):
            raise UserError(f"{path}: is read and would be overwritten: give another name for the output")
