"""Source `ucf101`: the videos and lists of UCF101, from the user's disk or from its servers.

`data.path` may be an archive, which is unpacked to `data/raw/videos`, or a folder of unpacked videos, which is used
where it is. Only if it is an empty folder are the videos downloaded. In any case they are held against the split lists.
A downloaded archive stays in `.scratch/download`: another split or seed unpacks it again, without another download.
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
DOWNLOAD = "download"  # the scratch folder in which archives grow and are kept
VIDEOS, CLASSES, GROUPS = 13_320, 101, 25  # of all UCF101; the groups are numbered anew in each class


@dataclass(frozen=True)
class Sources:
    """Where UCF101 comes from.

    Attributes:
        zip: the videos, in a mirror; the first choice, since Python can unpack it.
        rar: the videos, as their authors offer them.
        lists: the split lists.
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
    """Fill `raw/splits` with the lists, and `raw/videos` with the videos unless the user has them in a folder.

    Args:
        data: section `data` of params.yaml.
        raw: the folder `data/raw`; what an earlier run left there is removed.
        sources: what to download.
        waits: as for `fetch`.

    Returns:
        The videos of split `data.split` that are there, by paths relative to `video_root(data)`; and notes for the
        closing line: what is missing or extra.

    Raises:
        UserError: nothing that can be used is at `data.path`, it cannot be downloaded, it cannot be unpacked, or more
            than `data.max_bad_share` of the videos are missing.
    """
    own = Path(data.path)
    root = unpacked_root(own)
    if root is None and not own.is_file():
        _check_empty(own)
    for old in (raw / "videos", raw / "splits", *raw.glob("unpacking-*")):
        shutil.rmtree(old, ignore_errors=True)
    # Beside its final place, not in the scratch folder, which may be on another disk: so the last step is one rename,
    # and DVC, which removes data/raw before each run, removes this as well.
    with TemporaryDirectory(prefix="unpacking-", dir=raw) as temporary:
        work = Path(temporary)
        _get_lists(own, work, raw / "splits", sources.lists, waits)
        listed = read_split(raw / "splits", data.split)
        if root is not None:
            found = _compare(listed, own, root, data.max_bad_share)
            videos = [replace(video, path=path) for video, path in found.there]
        elif own.is_file():
            found = _from_archive(own, work, raw, listed, data.max_bad_share)
            videos = [video for video, _ in found.there]
        else:
            with locked(scratch(DOWNLOAD), "downloading UCF101"):
                archive = _download(sources, raw, waits)
                found = _from_archive(archive, work, raw, listed, data.max_bad_share)
                videos = [video for video, _ in found.there]
    return videos, _notes(listed, found)


def _check_empty(own: Path) -> None:
    """Raise an error if `data.path` holds something that is not UCF101: its owner wants no download instead."""
    if not own.is_dir():
        raise UserError(
            f"params.yaml: data.path is '{own}', but there is no such file or folder: set it to the archive or folder "
            "that you have, or to an empty folder to download UCF101"
        )
    others = [file for file in find_files(own) if not file.startswith(f"{LISTS}/")]
    if others:
        raise UserError(
            f"{own}: holds {some_names(others)}, but no video CLASS/v_CLASS_gNN_cNN.avi: set data.path to the archive "
            "itself or to the unpacked folder, or empty this folder to download UCF101"
        )


def _get_lists(own: Path, work: Path, splits: Path, source: Source, waits: Sequence[float]) -> None:
    """Put the split lists into `splits`: those in or beside the user's folder `own`, else the official ones."""
    folders = [folder / LISTS for folder in (own, own.parent) if (folder / LISTS).is_dir()]
    if not folders:
        try:
            archive = fetch(source, work, waits)
        except UserError as error:
            raise UserError(f"{error}; or put the folder {LISTS} of the split lists beside {own}") from None
        unpack(archive, work / "lists")
        folders = [work / "lists" / LISTS]
    splits.mkdir()
    for file in sorted(folders[0].glob("*.txt")):
        shutil.copyfile(file, splits / file.name)


def _download(sources: Sources, raw: Path, waits: Sequence[float]) -> Path:
    """Download the ZIP archive or, if that fails, the RAR archive."""
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
        raise UserError(f"{error}; or get UCF101 in another way, and set data.path to its archive or folder") from None


def _need_space_for(source: Source, raw: Path) -> None:
    """Check the free disk space for the rest of the archive and for the videos, which are about as large unpacked."""
    download = scratch(DOWNLOAD)
    rest = source.bytes - sum(file.stat().st_size for file in download.glob(f"{source.sha256}.*"))
    if download.stat().st_dev == raw.stat().st_dev:
        need_space(raw, rest + source.bytes, "UCF101, archive and videos,")
    else:
        need_space(download, rest, "the archive of UCF101")
        need_space(raw, source.bytes, "the unpacked UCF101")


@dataclass(frozen=True)
class _Found:
    """The result of comparing a folder with the lists.

    Attributes:
        there: the listed videos that are there, each with its path as it is spelt there, relative to the root.
        missing: paths of those that are not.
        extra: paths of files that are not listed, relative to the folder.
    """

    there: list[tuple[Video, str]]
    missing: list[str]
    extra: list[str]


def _from_archive(archive: Path, work: Path, raw: Path, listed: list[Video], max_bad_share: float) -> _Found:
    """Unpack, compare, and move the listed videos to `raw/videos`, by the paths that the lists give them."""
    unpack(archive, work / "all")
    root = unpacked_root(work / "all")
    if root is None:
        raise UserError(f"{archive}: no video CLASS/v_CLASS_gNN_cNN.avi is in this archive: set data.path to another")
    found = _compare(listed, work / "all", root, max_bad_share, archive)
    for video, path in found.there:
        target = work / "videos" / video.path
        target.parent.mkdir(parents=True, exist_ok=True)
        (root / path).rename(target)
    (work / "videos").rename(raw / "videos")
    return found


def _compare(
    listed: list[Video], folder: Path, root: Path, max_bad_share: float, archive: Path | None = None
) -> _Found:
    """Compare the files of a folder with the lists.

    Copies spell HandstandPushups in two ways, so case does not count.

    Args:
        listed: V videos.
        folder: all its files are compared.
        root: `folder` or one in it, which the listed paths are relative to.
        max_bad_share: of V.
        archive: what the folder was unpacked from, for the message.

    Raises:
        UserError: too many are missing.
    """
    files = find_files(folder)
    inside = "" if root == folder else f"{root.relative_to(folder).as_posix()}/"
    there = {file.removeprefix(inside).lower(): file for file in files if file.startswith(inside)}
    used = {video.path: there.get(video.path.lower()) for video in listed}
    missing = [path for path, file in used.items() if file is None]
    if len(missing) > max_bad_share * len(listed):
        raise UserError(
            f"{archive or root}: {len(missing):,} of the {counted(len(listed), 'video')} of the lists are missing, "
            f"{some_names(missing)}: complete it, or raise data.max_bad_share, now {max_bad_share}, in params.yaml"
        )
    pairs = [(video, file.removeprefix(inside)) for video in listed if (file := used[video.path])]
    extra = sorted(file for file in set(files) - set(used.values()) if not file.startswith(f"{LISTS}/"))
    return _Found(pairs, missing, extra)


def _notes(listed: list[Video], found: _Found) -> list[str]:
    notes = []
    counts = (len(listed), len({v.label for v in listed}), len({v.group.removeprefix(v.label) for v in listed}))
    if counts != (VIDEOS, CLASSES, GROUPS):
        notes.append(
            f"the lists name {counts[0]:,} videos, {counts[1]} classes and {counts[2]} groups, not the {VIDEOS:,}, "
            f"{CLASSES} and {GROUPS} of UCF101"
        )
    if found.missing:
        notes.append(f"missing: {counted(len(found.missing), 'video')} of the lists, {some_names(found.missing)}")
    else:
        notes.append("no video of the lists is missing")
    if found.extra:
        notes.append(f"left out: {counted(len(found.extra), 'file')} not in the lists, {some_names(found.extra)}")
    return notes
