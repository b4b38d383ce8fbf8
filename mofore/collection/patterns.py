"""What the patterns of a shell match, where ** stands for any folders.

Python's `glob` follows links that lead upwards again and again, and passes over folders that it cannot read without a
word. So folders are read here where a pattern has **; `walk_files` would not find what only a link leads to.
"""

import glob
import os
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

ANY_FOLDERS = "**"  # as a part of a pattern


def matches_of(pattern: str, unreadable: dict[str, str]) -> list[str]:
    """Files and folders that match a pattern.

    Hidden ones match if the pattern has their dot. Links are followed, but not to a folder that they lie in. What **
    can reach in several ways is taken once, without a link if possible.

    Args:
        pattern: with *, ? and [] as in a shell; ** as a part of it stands for any number of folders.
        unreadable: folders that cannot be read are added here, path and reason.
    """
    parts = Path(pattern).parts
    at = parts.index(ANY_FOLDERS) if ANY_FOLDERS in parts else len(parts)
    if at == len(parts) or any(part.startswith(".") for part in parts[at:]):
        matches = glob.glob(pattern, recursive=True)
        for folder in glob.glob(os.path.join(*parts[:-1], "")) if len(parts) > 1 and not matches else ():
            _entries(folder, unreadable)
        return matches
    of_folders = parts[at:]
    of_files = (*of_folders, "*") if of_folders[-1] == ANY_FOLDERS else of_folders  # x/** is no file x
    found: dict[str, str] = {}  # by path without links to folders
    for root in glob.glob(os.path.join(*parts[:at])) if at else [os.curdir]:
        for folders, file in _walk(root, (), unreadable, frozenset()):
            if not _matches((*folders, file) if file else folders, of_files if file else of_folders):
                continue
            folder = os.path.join(root, *folders)
            place = os.path.join(os.path.realpath(folder), file)
            if place not in found or place == os.path.join(os.path.abspath(folder), file):
                found[place] = os.path.join(folder, file)
    return list(found.values())


def _walk(
    root: str, folders: tuple[str, ...], unreadable: dict[str, str], above: frozenset[str]
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield a folder and all that it has, but for what is hidden.

    Each is given by the folders that lead there from `root`, and the name of the file, empty for a folder. `above` has
    the folders that it lies in, without links.
    """
    folder = os.path.join(root, *folders)
    place = os.path.realpath(folder)
    if place in above or not os.path.isdir(folder):
        return
    yield folders, ""
    for entry in _entries(folder, unreadable):
        if entry.name.startswith("."):
            continue
        if os.path.isdir(entry.path):  # entries raise an error where they may not be looked up
            yield from _walk(root, (*folders, entry.name), unreadable, above | {place})
        elif entry.is_symlink() or entry.is_file():  # no pipe
            yield folders, entry.name


def _entries(folder: str, unreadable: dict[str, str]) -> list["os.DirEntry[str]"]:
    try:
        return sorted(os.scandir(folder), key=lambda entry: (entry.is_symlink(), entry.name))
    except OSError as error:
        unreadable[str(Path(folder))] = str(error.strerror)
        return []


def _matches(names: Sequence[str], parts: Sequence[str]) -> bool:
    """Whether the names of a path match the parts of a pattern."""
    if not parts:
        return not names
    if parts[0] == ANY_FOLDERS:
        return any(_matches(names[skipped:], parts[1:]) for skipped in range(len(names) + 1))
    return bool(names) and fnmatchcase(names[0], parts[0]) and _matches(names[1:], parts[1:])
