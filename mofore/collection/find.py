"""Finds the videos that files, folders and patterns name."""

import glob
import os
from collections.abc import Collection, Sequence
from pathlib import Path

from mofore.collection.patterns import matches_of
from mofore.errors import UserError
from mofore.utils.progress import tell
from mofore.utils.text import counted, shown, some_names
from mofore.videos.folder import SUFFIXES, is_utf8, walk_files


def find_videos(paths: Sequence[str | Path]) -> list[Path]:
    """The videos that files, folders and patterns name: absolute paths, sorted, each once.

    Args:
        paths: of a folder and of those in it, files with the suffix of a video are taken. A pattern is as in a shell,
            where ** stands for any folders; of what it matches, files with the suffix of a video are taken, or all if
            it ends in a suffix itself, as `*.h264`. A file is taken whatever its suffix, unless others are found whose
            suffixes are those of videos: a shell that expands `*` names all kinds of files. ~ is the home folder.

    A line names what is left out: such files, folders that cannot be read or have no video, and paths that are not
    UTF-8, which a table cannot hold.

    Raises:
        UserError: there is no such file or folder, no file matches, nothing is found at all, or all paths that are
            found are not UTF-8.
    """
    found: set[str] = set()
    others, empty = set[str](), set[str]()  # named files without the suffix of a video, named folders without video
    unreadable: dict[str, str] = {}
    for path in paths:
        name = str(path) if os.path.lexists(path) else os.path.expanduser(path)
        if os.path.isdir(name):
            videos = _of_folder(name, unreadable)
            if not videos and str(Path(name)) not in unreadable:
                empty.add(name)
        elif os.path.lexists(name):
            videos = [name]
        else:
            videos = _of_pattern(name, unreadable)
        is_other = videos == [name] and not _is_video(name)
        (others if is_other else found).update(map(os.path.abspath, videos))  # without `..`: each video has one name
    if not found and not others:
        raise _nothing(unreadable, empty)
    reasons = [f"{folder} ({reason})" for folder, reason in unreadable.items()]
    _tell_left_out("file", "without the suffix of a video; to try one, give it alone", others if found else ())
    _tell_left_out("folder", "without videos", empty)
    _tell_left_out("folder", "which cannot be read", reasons)
    return _utf8(found or others)


def _nothing(unreadable: dict[str, str], empty: set[str]) -> UserError:
    if unreadable:
        folder, reason = next(iter(unreadable.items()))
        return UserError(f"{folder}: cannot be read: {reason}: make it readable, or give another one")
    if empty:
        return UserError(f"{min(empty)}: this folder has no video: put videos there, or give another one")
    return UserError("no video: give files, folders or patterns, such as 'videos/**/*.mp4'")


def _of_folder(folder: str, unreadable: dict[str, str]) -> list[str]:
    return [os.path.join(folder, name) for name in walk_files(Path(folder), unreadable) if _is_video(name)]


def _of_pattern(pattern: str, unreadable: dict[str, str]) -> list[str]:
    """Videos that match a pattern, and those of folders that match it."""
    before = len(unreadable)
    matches = matches_of(pattern, unreadable)
    if not matches and len(unreadable) == before:
        raise UserError(f"{pattern}: no such file or folder, and no file matches it: check the name")
    suffix = Path(pattern).suffix
    names_suffix = bool(suffix) and not glob.has_magic(suffix)
    found = []
    for match in matches:
        if os.path.isdir(match):
            found += _of_folder(match, unreadable)
        elif names_suffix or _is_video(match):
            found.append(match)
    if not found and len(unreadable) == before:  # otherwise one of those may have what matches
        raise UserError(f"{pattern}: no file that it matches has the suffix of a video: name the file itself")
    return found


def _is_video(name: str) -> bool:
    return Path(name).suffix.lower() in SUFFIXES


def _utf8(found: set[str]) -> list[Path]:
    """The paths that a table can hold, in the order of its rows."""
    left_out = [path for path in found if not is_utf8(path)]
    if len(left_out) == len(found):
        raise UserError(f"{shown(min(left_out))}: this path is not UTF-8, as a table needs it: rename it")
    _tell_left_out("path", "not UTF-8: rename them", left_out)
    return [Path(path) for path in sorted(found) if is_utf8(path)]


def _tell_left_out(what: str, why: str, names: Collection[str]) -> None:
    if names:
        tell(f"warning: {counted(len(names), what)} left out, {why}: {some_names(sorted(map(shown, names)))}")
