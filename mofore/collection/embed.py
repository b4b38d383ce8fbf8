"""Embeds videos into a table; adds what is new to a table that exists.

Each video is embedded by itself into a part of the table, in a folder beside it. A run that was stopped goes on with
the parts that are there. At the end, the rows of the old table and of the parts are merged in the order of paths.
"""

import heapq
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mofore.collection.changes import is_gone, is_missing, is_new, known_stamps, stamp_of
from mofore.collection.embed_file import FileTask, embed_part, read_part
from mofore.collection.embed_files import embed_files
from mofore.collection.encoder import SHIPPED, EncoderFacts, describe_encoder
from mofore.collection.find import find_videos
from mofore.collection.output import check_not_read, check_utf8
from mofore.collection.table import Recipe, read_recipe, read_rows, read_videos, write_table
from mofore.errors import UserError
from mofore.frames.child import end_child
from mofore.utils.progress import tell
from mofore.utils.scratch import folder_until_done
from mofore.utils.text import counted, some_names
from mofore.utils.workers import worker_count

FloatArray = npt.NDArray[np.float32]
WINDOW, STEP = 2.0, 1.0  # seconds
MAX_WINDOW = 600.0  # seconds, since the frames of a window are in memory: 0.5 GB at 25 a second
MAX_STEP = 86400.0  # seconds
TIMEOUT = 60.0  # seconds without a frame after which a video is given up


@dataclass(frozen=True)
class Embedded:
    """What `embed_to_table` has done.

    Attributes:
        table: the Parquet file.
        added, kept, dropped: numbers of videos: embedded now; as they were in the table, embedded; no longer on the
            disk.
        unreadable: of the videos that were named: those without embedding, with reasons.
        seconds: time it took.
    """

    table: Path
    added: int
    kept: int
    dropped: int
    unreadable: dict[str, str]
    seconds: float

    @property
    def videos(self) -> int:
        """Number of videos that were named."""
        return self.added + self.kept + len(self.unreadable)

    def __str__(self) -> str:
        line = f"embed: {counted(self.added, 'video')} embedded in {self.seconds:,.1f} s"
        line += f", {self.kept:,} already there" if self.kept else ""
        line += f", {self.dropped:,} dropped that are gone from the disk" if self.dropped else ""
        return f"{line}, {self.table}"


def embed_to_table(paths: Sequence[str | Path], out: Path, encoder: str | Path = SHIPPED, **options: Any) -> Embedded:
    """Embed the videos that paths name, see `find_videos`; the rest as for `embed_videos`.

    Raises:
        UserError: also, nothing is found.
    """
    return embed_videos(find_videos(paths), out, encoder, **options)


def embed_videos(
    videos: Sequence[Path],
    out: Path,
    encoder: str | Path = SHIPPED,
    window: float = WINDOW,
    step: float = STEP,
    workers: int = -1,
    backend: str = "local",
    device: str = "cpu",
    timeout: float = TIMEOUT,
    again: bool = False,
    drop_missing: bool = False,
    quiet: bool = False,
    resumable: bool = True,
) -> Embedded:
    """Embed videos of any length, and their windows; memory does not depend on the lengths.

    If the table exists, only videos are embedded that are not in it, or that have changed since by size or time; others
    stay in it, but for those that are gone from the disk. Videos that failed for a reason that may have passed are
    tried again. Of a run that was stopped, finished videos are kept, in a folder beside the table. The bytes of the
    table depend only on the videos, their paths and times, on the parameters here, and on the versions of the
    libraries.

    Args:
        videos: absolute paths, sorted, each once.
        out: the table, a Parquet file, see `table`.
        encoder: see `describe_encoder`.
        window, step: length of a window and distance between the starts of two, in seconds, above 0 and at most
            MAX_WINDOW and MAX_STEP. A window is at least as long as a clip of the encoder.
        workers: number of processes; -1: one per core.
        backend: "local": processes here; "dask": the cluster at DASK_SCHEDULER_ADDRESS, which sees the same files.
        device: torch device of each process.
        timeout: seconds without a frame after which a video is given up.
        again: also embed anew what could not be read, or only in part.
        drop_missing: also drop the rows of videos whose folder is missing or empty.
        quiet: show no progress.
        resumable: False if the table is in a temporary folder: a run that is stopped then tells no way to go on.

    Raises:
        UserError: no video can be used, the table was made in another way, or a number is out of range.
    """
    began = time.monotonic()
    for name, seconds, most in (("window", window, MAX_WINDOW), ("step", step, MAX_STEP)):
        if not 0 < seconds <= most:
            raise UserError(f"{name}: {seconds:g} seconds, but it must be above 0 and at most {most:g}")
    facts = describe_encoder(encoder)
    _check_device(device)
    recipe = Recipe(facts.source, facts.hash, window, step, asdict(facts.clip))
    check_utf8(out)
    out = Path(os.path.realpath(out))  # a link stays, and the file that it leads to is replaced
    check_not_read(out, videos)
    _check_out(out, recipe)  # before any work, and again when no other run writes it
    folder = out.with_name(f".{out.name}.parts")
    with folder_until_done(folder, f"embedding into {out}"):
        _check_out(out, recipe)
        known = known_stamps(out, again)
        missing = {name for name in known if is_missing(Path(name))}
        gone = missing if drop_missing else {name for name in missing if is_gone(Path(name))}
        if away := sorted({str(Path(name).parent) for name in missing - gone}):
            stay = counted(len(missing - gone), "video stays in the table that is", "videos stay in the table that are")
            tell(
                f"warning: {stay} not on the disk, as {some_names(away, 2)} may not be mounted: if gone for good, give "
                "--drop-missing"
            )
        how = facts.source, facts.hash, window, step, device, timeout
        tasks = [
            FileTask(video, folder / f"{_key(video, recipe)}.arrow", *how, stamp_of(video))
            for video in videos
            if is_new(video, known)
        ]
        with _told_if_stopped(len(videos), tasks) if resumable else nullcontext():
            embed_files(tasks, worker_count(workers), backend, quiet)
            unreadable = _without_embedding(out, videos, tasks)
            usable = len(unreadable) < len(videos)
            if usable and (tasks or gone):
                replaced = gone | {str(task.file) for task in tasks}
                write_table(out, recipe, _merged(out, replaced, tasks))
    if not usable:
        name, reason = next(iter(unreadable.items()))
        raise UserError(f"none of {counted(len(videos), 'video')} can be used: {name}: {reason}: give other videos")
    added = sum(str(task.file) not in unreadable for task in tasks)
    kept = len(videos) - len(unreadable) - added
    return Embedded(out, added, kept, len(gone), unreadable, time.monotonic() - began)


@contextmanager
def _told_if_stopped(videos: int, tasks: Sequence[FileTask]) -> Iterator[None]:
    """Tell how far a run came that the user stops, and how to go on."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        kept = videos - sum(not task.target.exists() for task in tasks)
        tell(f"stopped: {kept:,} of {counted(videos, 'video')} are kept; run the same command to go on")
        raise


def embed_query(
    file: Path,
    encoder: EncoderFacts,
    start_s: float | None = None,
    end_s: float | None = None,
    window: float = WINDOW,
    step: float = STEP,
    device: str = "cpu",
) -> FloatArray:
    """Embed a video, or a part of it, as a query for a table.

    Args:
        file: the video.
        encoder: that of the table.
        start_s, end_s: the part, in seconds; None: from the start, to the end.
        window, step: of the table; they decide where clips lie.
        device: name of the torch device.

    Returns:
        Mean over the clips of that part, as in column `embedding`: float32 [D].

    Raises:
        UserError: the video cannot be read, or the part is shorter than a clip.
    """
    part = (start_s or 0.0, float("inf") if end_s is None else end_s)
    task = FileTask(file.absolute(), Path(), encoder.source, encoder.hash, window, step, device, TIMEOUT)
    try:
        return embed_part(task, part)
    finally:
        end_child()


def _check_device(device: str) -> None:
    if device == "cpu":
        return
    if device.partition(":")[0] not in ("cuda", "mps"):
        raise UserError(f"device '{device}': use cpu, or cuda where there is a GPU")
    import torch

    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError):
        raise UserError(f"device '{device}' is not on this machine: use cpu, or cuda where there is a GPU") from None


def _check_out(out: Path, recipe: Recipe) -> None:
    """Raise UserError if the table cannot be written, or exists and was made in another way."""
    if not os.path.lexists(out):
        return
    try:
        old = read_recipe(out)
    except UserError as error:
        wrong = str(error).removeprefix(f"{out}: ").partition(":")[0]
        raise UserError(f"{out}: {wrong}: give another --out") from None  # it may be the user's own
    if not old.same_space(recipe):
        raise UserError(
            f"{out}: was made with another encoder ({old.encoder}, {old.encoder_hash}): give another --out, or the "
            "same --encoder"
        )
    if (old.window, old.step) != (recipe.window, recipe.step):
        raise UserError(
            f"{out}: was made with --window {old.window:g} --step {old.step:g}: give the same, or another --out"
        )


def _key(file: Path, recipe: Recipe) -> str:
    key = blake2b(repr((str(file), stamp_of(file), asdict(recipe))).encode("utf-8", "surrogateescape"), digest_size=16)
    return key.hexdigest()


def _without_embedding(out: Path, videos: Sequence[Path], tasks: Sequence[FileTask]) -> dict[str, str]:
    """Reasons of the videos without embedding, by path: of the new ones, and of those that are in the table."""
    found = {}
    for task in tasks:
        rows = read_part(task.target)
        (last,) = rows.slice(len(rows) - 1).to_pylist()
        if last["embedding"] is None:
            found[str(task.file)] = last["reason"]
    if out.exists():
        old, new = read_videos(out), {str(task.file) for task in tasks}
        wanted = {str(video) for video in videos} - new
        unusable = old[(old.frames == 0) & old.file.isin(wanted)]
        found |= dict(zip(unusable.file, unusable.reason, strict=True))
    return dict(sorted(found.items()))


def _merged(out: Path, replaced: set[str], tasks: Sequence[FileTask]) -> Iterator[pa.Table]:
    """The rows of the table but for those of some videos, and of the parts, in the order of paths."""
    old = ((name, rows) for name, rows in read_rows(out) if name not in replaced) if out.exists() else iter(())
    new = ((str(task.file), read_part(task.target)) for task in tasks)
    for _, rows in heapq.merge(old, new, key=lambda pair: pair[0]):
        yield rows
