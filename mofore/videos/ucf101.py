"""Get the videos and split lists of UCF101, from the user's disk or from its servers (source `ucf101`).

`data.path` may be an archive, which is unpacked to `data/raw/videos`, or a folder of unpacked videos, which is used in
place. The videos are downloaded only if it is an empty folder. In all cases the videos are compared with the split
lists. A downloaded archive stays in `.scratch/download`, so a later run unpacks it again without a download.

Source: Soomro et al., "UCF101: A Dataset of 101 Human Actions Classes From Videos in The Wild", arXiv:1212.0402;
https://www.crcv.ucf.edu/data/UCF101.php
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from mofore.catalog import Video, unpacked_root
from mofore.config import Data
from mofore.errors import UserError
from mofore.utils.files import need_space
from mofore.utils.progress import tell
from mofore.utils.scratch import locked, scratch
from mofore.utils.text import counted, some_names
from mofore.videos.archive import need_rar_tool, unpack
from mofore.videos.folder import find_files
from mofore.videos.http import WAITS, Source, fetch
from mofore.videos.ucf101_splits import read_split

LISTS = "ucfTrainTestlist"
DOWNLOAD = "download"  # the scratch folder for partial and complete archives
VIDEOS, CLASSES, GROUPS = 13_320, 101, 25  # of all UCF101; group numbers start again in each class


@dataclass(frozen=True)
class Sources:
    """The files to download for UCF101.

    Attributes:
        zip: the videos, from a mirror; preferred, since Python can unpack ZIP.
        rar: the videos, from the authors of UCF101.
        lists: the split lists, from the authors of UCF101.
    """

    zip: Source
    rar: Source
    lists: Source


OFFICIAL = Sources(
    zip=Source(
        "https://storage.googleapis.com/thumos14_files/UCF101_videos.zip",
        6_960_400_115,
        "dabf56f573cd19c79e096563529fec8126a2a34e18e10c72eb621dd687532b0d",
    ),
    rar=Source(
        "https://www.crcv.ucf.edu/data/UCF101/UCF101.rar",
        6_932_971_618,
        "ca8dfadb4c891cb11316f94d52b6b0ac2a11994e67a0cae227180cd160bd8e55",
        broken_certificate=True,
    ),
    lists=Source(
        "https://www.crcv.ucf.edu/data/UCF101/UCF101TrainTestSplits-RecognitionTask.zip",
        113_943,
        "5c0d1a53b8ed364a2ac830a73f405e51bece7d98ce1254fd19ed4a36b224bd27",
        broken_certificate=True,
    ),
)


def get_ucf101(
    data: Data, raw: Path, sources: Sources = OFFICIAL, waits: Sequence[float] = WAITS
) -> tuple[list[Video], list[str]]:
    """Write the split lists to `raw/splits` and, unless the user has a folder of videos, the videos to `raw/videos`.

    Args:
        data: section `data` of params.yaml.
        raw: the folder `data/raw`; lists and videos of an earlier run are removed from it.
        sources: the files to download.
        waits: as for `fetch`.

    Returns:
        The listed videos that were found, with paths relative to `video_root(data)`; and notes for the closing line
        about missing and unlisted files.

    Raises:
        UserError: `data.path` holds nothing that can be used, the download or the unpacking fails, or more than the
            share `data.max_bad_share` of the videos is missing.
    """
    user_path = Path(data.path)
    root = unpacked_root(user_path)
    if root is None and not user_path.is_file():
        _check_empty(user_path)
    for old in (raw / "videos", raw / "splits", *raw.glob("unpacking-*")):
        shutil.rmtree(old, ignore_errors=True)
    # Unpack inside data/raw, not in the scratch folder, which may be on another disk. Then the last step is a single
    # rename, and DVC, which deletes data/raw before each run, deletes the leftovers of a killed run too.
    with TemporaryDirectory(prefix="unpacking-", dir=raw) as temporary:
        work = Path(temporary)
        _get_lists(user_path, work, raw / "splits", sources.lists, waits)
        listed = read_split(raw / "splits", 1)  # all three splits list the same videos
        if root is not None:
            comparison = _compare(listed, user_path, root, data.max_bad_share)
            videos = [replace(video, path=path) for video, path in comparison.present]
        elif user_path.is_file():
            comparison = _from_archive(user_path, work, raw, listed, data.max_bad_share)
            videos = [video for video, _ in comparison.present]
        else:
            with locked(scratch(DOWNLOAD), "downloading UCF101"):
                archive = _download(sources, raw, waits)
                comparison = _from_archive(archive, work, raw, listed, data.max_bad_share)
                videos = [video for video, _ in comparison.present]
    return videos, _notes(listed, comparison)


def _check_empty(user_path: Path) -> None:
    """Check that `data.path` is an empty folder; the split lists may be in it.

    If it holds anything else, the user wants that to be used, and a download would be a surprise.

    Raises:
        UserError: it is not a folder, or not empty.
    """
    if not user_path.is_dir():
        raise UserError(
            f"params.yaml: data.path is '{user_path}', but there is no such file or folder: set it to your archive "
            "or folder of UCF101, or to an empty folder to download UCF101"
        )
    others = [file for file in find_files(user_path) if not file.startswith(f"{LISTS}/")]
    if others:
        raise UserError(
            f"{user_path}: holds {some_names(others)}, but no video CLASS/v_CLASS_gNN_cNN.avi: set data.path to the "
            "archive itself or to the unpacked folder, or empty this folder to download UCF101"
        )


def _get_lists(user_path: Path, work: Path, splits: Path, source: Source, waits: Sequence[float]) -> None:
    """Copy the split lists in or beside `user_path` to `splits`, or download them if there are none."""
    folders = [folder / LISTS for folder in (user_path, user_path.parent) if (folder / LISTS).is_dir()]
    if not folders:
        try:
            archive = fetch(source, work, waits)
        except UserError as error:
            raise UserError(
                f"{error}; you can also put the folder {LISTS} of the split lists beside {user_path}"
            ) from None
        unpack(archive, work / "lists")
        folders = [work / "lists" / LISTS]
    splits.mkdir()
    for file in sorted(folders[0].glob("*.txt")):
        shutil.copyfile(file, splits / file.name)


def _download(sources: Sources, raw: Path, waits: Sequence[float]) -> Path:
    """Download the ZIP archive or, if that fails, the RAR archive, and return its path."""
    _need_space_for(sources.zip, raw)
    try:
        return fetch(sources.zip, scratch(DOWNLOAD), waits)
    except UserError as error:
        tell(f"download: {error}; trying {sources.rar.url}")
    need_rar_tool(sources.rar.url)
    _need_space_for(sources.rar, raw)
    try:
        return fetch(sources.rar, scratch(DOWNLOAD), waits)
    except UserError as error:
        raise UserError(
            f"{error}; you can also get UCF101 yourself and set data.path to its archive or folder"
        ) from None


def _need_space_for(source: Source, raw: Path) -> None:
    """Check the disk space for the rest of the archive and for the unpacked videos, which take about the same space."""
    download = scratch(DOWNLOAD)
    rest = source.bytes - sum(file.stat().st_size for file in download.glob(f"{source.sha256}.*"))
    if download.stat().st_dev == raw.stat().st_dev:
        need_space(raw, rest + source.bytes, "UCF101, archive and videos,")
    else:
        need_space(download, rest, "the archive of UCF101")
        need_space(raw, source.bytes, "the unpacked UCF101")


@dataclass(frozen=True)
class _Comparison:
    """The result of comparing a folder with the split lists.

    Attributes:
        present: the listed videos that were found, each with its path relative to the root. The path may differ from
            the listed one in upper and lower case.
        missing: listed paths that were not found.
        unlisted: paths of the other files, relative to the folder.
    """

    present: list[tuple[Video, str]]
    missing: list[str]
    unlisted: list[str]


def _from_archive(archive: Path, work: Path, raw: Path, listed: list[Video], max_bad_share: float) -> _Comparison:
    """Unpack an archive into `work`, and move the listed videos to `raw/videos`, under their listed paths."""
    unpack(archive, work / "all")
    root = unpacked_root(work / "all")
    if root is None:
        raise UserError(
            f"{archive}: no video CLASS/v_CLASS_gNN_cNN.avi is in this archive: set data.path to another one"
        )
    comparison = _compare(listed, work / "all", root, max_bad_share, archive)
    for video, path in comparison.present:
        target = work / "videos" / video.path
        target.parent.mkdir(parents=True, exist_ok=True)
        (root / path).rename(target)
    (work / "videos").rename(raw / "videos")
    return comparison


def _compare(
    listed: list[Video], folder: Path, root: Path, max_bad_share: float, archive: Path | None = None
) -> _Comparison:
    """Compare the files of a folder with the lists, ignoring case: copies of UCF101 spell HandstandPushups in two ways.

    Args:
        listed: the videos in the lists.
        folder: the folder whose files are compared.
        root: `folder` or a folder in it; the listed paths are relative to it.
        max_bad_share: the share of the listed videos that may be missing, 0-1.
        archive: the archive that was unpacked to `folder`, for the message.

    Raises:
        UserError: too many videos are missing.
    """
    files = find_files(folder)
    prefix = "" if root == folder else f"{root.relative_to(folder).as_posix()}/"
    by_lower_path = {file.removeprefix(prefix).lower(): file for file in files if file.startswith(prefix)}
    file_of = {video.path: by_lower_path.get(video.path.lower()) for video in listed}
    missing = [path for path, file in file_of.items() if file is None]
    if len(missing) > max_bad_share * len(listed):
        raise UserError(
            f"{archive or root}: {len(missing):,} of the {counted(len(listed), 'video')} in the lists are missing, "
            f"{some_names(missing)}: add them, or raise data.max_bad_share, now {max_bad_share}, in params.yaml"
        )
    present = [(video, file.removeprefix(prefix)) for video in listed if (file := file_of[video.path])]
    unlisted = sorted(file for file in set(files) - set(file_of.values()) if not file.startswith(f"{LISTS}/"))
    return _Comparison(present, missing, unlisted)


def _notes(listed: list[Video], comparison: _Comparison) -> list[str]:
    notes = []
    counts = (len(listed), len({v.label for v in listed}), len({v.group.removeprefix(v.label) for v in listed}))
    if counts != (VIDEOS, CLASSES, GROUPS):
        notes.append(
            f"the lists have {counts[0]:,} videos, {counts[1]} classes and {counts[2]} groups, not the {VIDEOS:,}, "
            f"{CLASSES} and {GROUPS} of UCF101"
        )
    if comparison.missing:
        notes.append(f"missing: {counted(len(comparison.missing), 'listed video')}, {some_names(comparison.missing)}")
    else:
        notes.append("no listed video is missing")
    if comparison.unlisted:
        notes.append(
            f"left out: {counted(len(comparison.unlisted), 'file')} not in the lists, {some_names(comparison.unlisted)}"
        )
    return notes
