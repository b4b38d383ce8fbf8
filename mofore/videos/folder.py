"""Read a user's folder of videos, and the optional `videos.csv` in it.

Without `videos.csv` all videos are used. The label of a video is the first folder of its path; a video directly in the
folder is unlabelled. `videos.csv` lists the videos to use. Its columns are path, label, group and split; only path is
required.

Spaces around a name do not count, and letters may be written with their accents or followed by them (Unicode NFC and
NFD), as file systems and spreadsheets differ in both. So `run` and `run ` are one class, and one group.
"""

import csv
import os
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mofore.catalog import COLUMNS, Video
from mofore.errors import UserError

VIDEOS_CSV = "videos.csv"
# fmt: off
SUFFIXES = frozenset({
    ".3gp", ".asf", ".avi", ".divx", ".f4v", ".flv", ".gif", ".m2ts", ".m4v", ".mjpeg", ".mjpg", ".mkv",
    ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv",
})
# fmt: on


@dataclass(frozen=True)
class Folder:
    """The content of a user's folder.

    Attributes:
        videos: the videos to use, sorted by path. `group` and `split` are empty where the user gives none; `split` is
            empty for all videos or for no video.
        unlisted: paths of videos that `videos.csv` does not list.
        others: paths of files whose suffix is not that of a video.
    """

    videos: list[Video]
    unlisted: list[str]
    others: list[str]


def read_folder(root: Path) -> Folder:
    """Find the videos of a folder, and read its `videos.csv` if it has one.

    Raises:
        UserError: the folder is missing or has no video, or `videos.csv` is wrong; the message names the file and line.
    """
    if not root.is_dir():
        what = "is a file, not a folder" if root.exists() else "there is no such folder"
        raise UserError(f"params.yaml: data.path is '{root}', but {what}: set it to the folder of your videos")
    files = find_files(root)
    if table := _table_name(root, files):
        files.remove(table)
        videos = sorted(_read_table(root / table, files), key=lambda video: video.path)
    else:
        videos = [Video(path, _folder_label(path), group="", split="") for path in files if _is_video(path)]
    if not videos:
        content = f"holds {len(files)} files, but no video" if files else "is empty"
        raise UserError(
            f"{root}: this folder {content}: put videos there, as CLASS/video.mp4 or directly, or set data.path "
            "in params.yaml to another folder"
        )
    unused = sorted(set(files) - {video.path for video in videos})
    return Folder(
        videos, [path for path in unused if _is_video(path)], [path for path in unused if not _is_video(path)]
    )


def _table_name(root: Path, files: list[str]) -> str:
    """The name of the folder's `videos.csv`, however it is capitalised; empty if there is none."""
    names = [name for name in files if name.lower() == VIDEOS_CSV]
    if VIDEOS_CSV in names or not names:
        return VIDEOS_CSV if names else ""
    if len(names) > 1:
        raise UserError(f"{root}: {' and '.join(names)} are both there: keep one, as {VIDEOS_CSV}")
    return names[0]


def clean(text: str) -> str:
    """A name without spaces around it, its letters and accents composed (Unicode NFC)."""
    return unicodedata.normalize("NFC", text).strip()


def look_alike(names: Iterable[str]) -> list[list[str]]:
    """Names that differ only in case, width, spacing or characters that are not seen; each list has two or more."""
    alike: dict[str, list[str]] = {}
    for name in sorted(set(names)):
        seen = unicodedata.normalize("NFKC", name).casefold().replace("_", " ").replace("-", " ")
        seen = "".join(letter for letter in seen if unicodedata.category(letter) not in ("Cf", "Cc"))
        alike.setdefault(" ".join(seen.split()), []).append(name)
    return [group for group in alike.values() if len(group) > 1]


def find_files(root: Path) -> list[str]:
    """List all files of a folder and its sub-folders, as sorted POSIX paths relative to it. See `walk_files`.

    Raises:
        UserError: a folder cannot be read, or a name is not UTF-8.
    """
    files = sorted(walk_files(root))
    for file in files:
        if not is_utf8(file):
            raise UserError(f"{root}: the name {os.fsencode(file)!r} is not UTF-8: rename it")
    return files


def walk_files(root: Path, unreadable: dict[str, str] | None = None) -> Iterator[str]:
    """Yield all files of a folder and its sub-folders, as POSIX paths relative to it, which may not be UTF-8.

    Hidden files and folders are left out. Links are followed. A folder that several links lead to is read only once, so
    loops end and no folder is listed twice; its path without a link is preferred.

    Args:
        root: the folder.
        unreadable: folders that cannot be read are left out and added here, path and reason; None: they are errors.

    Raises:
        UserError: a folder cannot be read, and `unreadable` is None.
    """
    seen = set()
    folders, links = [root], list[Path]()
    while folders or links:
        folder = folders.pop() if folders else links.pop(0)
        try:
            status = folder.stat()
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            if unreadable is None:
                raise UserError(f"{folder}: cannot be read: {error.strerror}: make it readable or remove it") from None
            unreadable[str(folder)] = str(error.strerror)
            continue
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if os.path.isdir(entry.path):
                (links if entry.is_symlink() else folders).append(Path(entry.path))
            elif entry.is_symlink() or entry.is_file():  # dangling links are listed too; extract_frames reports them
                yield Path(entry.path).relative_to(root).as_posix()


def is_utf8(path: str) -> bool:
    """Whether the bytes of a path are UTF-8; Python holds others as surrogates."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_video(path: str) -> bool:
    return PurePosixPath(path).suffix.lower() in SUFFIXES


def _folder_label(path: str) -> str:
    first, *deeper = PurePosixPath(path).parts
    return clean(first) if deeper else ""


def _read_table(table: Path, files: list[str]) -> list[Video]:
    """Read and check the rows of `videos.csv`; `files` are the files of the folder."""
    videos: dict[str, Video] = {}
    file_of = {clean(path): path for path in reversed(files)}  # of two that look alike, the first
    split_of_group: dict[str, str] = {}
    for line, row in _table_rows(table):
        where = f"{table}: line {line}"
        path = PurePosixPath(row["path"])
        if not os.path.isfile(table.parent / path):
            path = PurePosixPath(file_of.get(clean(row["path"]), clean(row["path"])))
        name = str(path)
        if not row["path"].strip():
            raise UserError(f"{where}: the path is empty: name a file of this folder")
        if path.is_absolute() or ".." in path.parts:
            raise UserError(f"{where}: '{name}' is outside the folder: give a path relative to {table.parent}")
        if name in videos:
            raise UserError(f"{where}: '{name}' is listed twice: remove one of the lines")
        if not os.path.isfile(table.parent / name):
            raise UserError(f"{where}: '{name}' does not exist: correct the path or remove the line")
        label, group, split = (clean(row.get(column, "")) for column in ("label", "group", "split"))
        video = Video(name, label if "label" in row else _folder_label(name), group, split)
        if video.split not in ("train", "test", ""):
            raise UserError(f"{where}: split is '{video.split}', but must be train or test, or empty in all lines")
        if videos and bool(video.split) != bool(next(iter(videos.values())).split):
            raise UserError(f"{where}: split is given in some lines, but not in all: fill it in everywhere or nowhere")
        if video.group and split_of_group.setdefault(video.group, video.split) != video.split:
            raise UserError(
                f"{where}: group '{video.group}' is in train and in test: put all videos of a group on one side"
            )
        videos[name] = video
    if not videos:
        raise UserError(
            f"{table}: lists no video: add a line for each, or remove the file to use all videos of the folder"
        )
    return list(videos.values())


def _table_rows(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the line number and the cells, by column name, of each row."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [clean(cell) for cell in next(reader, [])]
            if "path" not in header or len(set(header)) < len(header) or not set(header) <= set(COLUMNS):
                raise UserError(
                    f"{table}: line 1: the columns are '{','.join(header)}', but must be path and any of "
                    "label, group, split, separated by commas"
                )
            for cells in reader:
                if not cells:
                    continue
                if any("\0" in cell for cell in cells):
                    raise UserError(f"{table}: line {reader.line_num}: a cell has the character NUL: save it as text")
                if len(cells) != len(header):
                    raise UserError(
                        f"{table}: line {reader.line_num}: {len(cells)} cells for {len(header)} columns: "
                        "put cells that contain a comma in double quotes"
                    )
                yield reader.line_num, dict(zip(header, cells, strict=True))
    except UnicodeDecodeError:
        raise UserError(f"{table}: not UTF-8: save it as 'CSV UTF-8'") from None
    except csv.Error as error:
        raise UserError(f"{table}: line {reader.line_num}: not valid CSV: {error}") from None
    except OSError as error:
        raise UserError(f"{table}: cannot be read: {error.strerror}") from None
