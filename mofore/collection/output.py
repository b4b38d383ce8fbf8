"""Writes what a command has found, without harm to what is there."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from mofore.errors import UserError
from mofore.utils.files import writing
from mofore.utils.text import shown
from mofore.videos.folder import is_utf8

PAGE_MARK = b'<meta name="generator" content="mofore">'  # in the head of the pages of this room
HEAD_BYTES = 1024


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a file under another name, and rename it when it is complete: an earlier file stays until then.

    If the path is a link, the file that it leads to is replaced.

    Raises:
        OSError: it cannot be written; the error has its name.
    """
    path = Path(os.path.realpath(path))
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with writing(part) as file:
            yield file
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def check_output(path: Path, suffix: str, *inputs: Path) -> None:
    """Refuse to write where the user's own files may be, or where nothing can be written.

    Args:
        path: the file to write.
        suffix: that its name must have, such as ".html".
        inputs: files that are read; the output must be none of them.

    Raises:
        UserError: the name has another suffix, or is that of a folder or an input; or its folder cannot be used.
    """
    if path.suffix.lower() != suffix:
        raise UserError(f"{path}: this file would be of kind {suffix}: give a name that ends in {suffix}")
    if path.is_dir():
        raise UserError(f"{path}: is a folder: give the name of a file")
    check_utf8(path)
    check_folder(path.parent)
    check_not_read(path, inputs)


def check_utf8(path: Path) -> None:
    """Check that the path of a file to write is UTF-8, also where links lead.

    Raises:
        UserError: it is not.
    """
    place = os.path.realpath(path)
    if not is_utf8(place):
        raise UserError(f"{shown(place)}: this path is not UTF-8: give another name for the output")


def check_page(path: Path) -> None:
    """Refuse to write a page where the user's own files may be; see `check_output`.

    Raises:
        UserError: as `check_output`; or the file exists and is no page that `mofore` wrote.
    """
    check_output(path, ".html")
    if path.exists():
        with path.open("rb") as file:
            if PAGE_MARK not in file.read(HEAD_BYTES):
                raise UserError(f"{path}: exists and is no page that mofore wrote: give another name for the output")


def check_folder(folder: Path) -> None:
    """Check that files can be written in a folder, which is made later if it does not exist.

    Raises:
        UserError: something else has its name or that of a folder above it, or this user must not write there.
    """
    place = folder
    while not os.path.lexists(place):
        place = place.parent
    if not place.is_dir():
        raise UserError(f"{folder}: {place} is no folder: give another name for the output")
    if not os.access(place, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise UserError(f"{folder}: no permission to write in {place}: allow it, or give another name for the output")


def check_not_read(path: Path, inputs: Iterable[Path]) -> None:
    """Refuse to write to a file that is read.

    Raises:
        UserError: the output is one of the inputs.
    """
    if not path.exists():
        return
    for one in inputs:
        if _is_same(path, one):
            raise UserError(f"{path}: is read and would be overwritten: give another name for the output")


def _is_same(path: Path, other: Path) -> bool:
    """Whether two names lead to one file; False if one cannot be looked up."""
    try:
        return path.samefile(other)
    except OSError:
        return False
