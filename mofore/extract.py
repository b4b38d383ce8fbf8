"""Decoding each video once into small JPEG frames, packed into few files.

`data/frames/` holds
- `pack-00000.bin`, ...: JPEG images back to back, one pack for the frames of 64 successive rows of the catalog;
- `index.npy`: int64 [F, 3], one row a frame: pack number, byte offset, byte length; by video, then by time;
- `videos.csv`: one row a video of the catalog, in its order: what became of it.
A pack depends on its 64 videos only, so the bytes are the same whatever the number of processes.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import astuple, dataclass, field
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
import numpy.typing as npt
from cv2.typing import MatLike

from mofore.catalog import CATALOG, Video, csv_bytes, read_catalog, video_root
from mofore.config import Frames, Params
from mofore.cores import worker_count
from mofore.errors import UserError
from mofore.files import writing
from mofore.progress import progress
from mofore.report import counted, some_names

FRAMES = Path("data/frames")
PACK_VIDEOS = 64
COLUMNS = ["video", "label", "group", "split", "frames", "fps", "width", "height", "status", "reason"]
JPEG_MAX_SIDE = 65500  # pixels; libjpeg's limit


@dataclass(frozen=True)
class Extracted:
    """What became of one video.

    Attributes:
        lengths: bytes of each stored frame; empty if the video cannot be used.
        fps: frames a second, 0 if unusable.
        width, height: pixels of the frames as they are to be looked at (turned if the file says so); 0 if unusable.
        reason: why it cannot be used; empty if it can.
    """

    lengths: list[int] = field(default_factory=list)
    fps: float = 0.0
    width: int = 0
    height: int = 0
    reason: str = ""

    def row(self, video: Video) -> tuple[object, ...]:
        """Its row of `videos.csv`."""
        status = "unreadable" if self.reason else "ok"
        return (*astuple(video), len(self.lengths), self.fps, self.width, self.height, status, self.reason)


def extract_frames(params: Params) -> str:
    """Write `data/frames` from the videos of the catalog.

    Returns:
        The stage's closing line: how much was stored, which videos cannot be used and why.

    Raises:
        UserError: no video can be used, or more than `data.max_bad_share` cannot (all is written nonetheless, so that
            `videos.csv` can be read), or a worker process died.
    """
    videos = read_catalog()
    FRAMES.mkdir(parents=True, exist_ok=True)
    for old in (*FRAMES.glob("pack-*.bin"), FRAMES / "index.npy", FRAMES / "videos.csv"):
        old.unlink(missing_ok=True)  # not overwritten: it may be a link into DVC's cache
    root = video_root(params.data)
    running = extract_videos(root, videos, FRAMES, params.frames, worker_count(params.runtime.workers))
    extracted = list(progress(running, total=len(videos), what="extract_frames", unit="video"))
    index = BytesIO()
    np.save(index, frame_index(extracted))
    with writing(FRAMES / "index.npy") as file:
        file.write(index.getbuffer())
    with writing(FRAMES / "videos.csv") as file:
        file.write(csv_bytes(COLUMNS, (one.row(video) for one, video in zip(extracted, videos, strict=True))))
    return _closing_line(root, videos, extracted, params.data.max_bad_share)


def _closing_line(root: Path, videos: list[Video], extracted: list[Extracted], max_bad_share: float) -> str:
    names = [f"{video.path} ({one.reason})" for video, one in zip(videos, extracted, strict=True) if one.reason]
    bad = f"{len(names)} of {len(videos)} videos cannot be used: {some_names(names)}"
    where = f"{FRAMES}/videos.csv names each with its reason"
    if len(names) == len(videos):
        raise UserError(f"{root}: {bad}; {where}: nothing is left to work with, so put other videos there")
    if len(names) > max_bad_share * len(videos):
        raise UserError(
            f"{root}: {bad}; {where}: mend or remove them, or raise data.max_bad_share, "
            f"now {max_bad_share}, in params.yaml"
        )
    frames = sum(len(one.lengths) for one in extracted)
    size = sum(sum(one.lengths) for one in extracted)
    of = counted(len(videos) - len(names), "video")
    line = f"extract_frames: {counted(frames, 'frame')} of {of}, {size / 1e6:,.1f} MB"
    return f"{line}; {bad}; {where}" if names else line


def frame_index(extracted: list[Extracted]) -> npt.NDArray[np.int64]:
    """Where each stored frame lies: int64 [F, 3] of pack number, byte offset and byte length."""
    index = []
    for first in range(0, len(extracted), PACK_VIDEOS):
        in_pack = extracted[first : first + PACK_VIDEOS]
        lengths = np.array([length for one in in_pack for length in one.lengths], dtype=np.int64)
        index.append(
            np.column_stack([np.full_like(lengths, first // PACK_VIDEOS), lengths.cumsum() - lengths, lengths])
        )
    return np.concatenate(index)


def extract_videos(root: Path, videos: list[Video], folder: Path, frames: Frames, workers: int) -> Iterator[Extracted]:
    """Write the packs of `videos` into `folder`; yield what became of each video, in their order.

    Args:
        root: the folder that the videos' paths are relative to.
        videos: N videos.
        folder: an existing folder without packs.
        frames: size and quality of the stored frames.
        workers: processes; with 0 or 1 the work is done in this one.

    Raises:
        UserError: a worker process died; names the videos that it may have been at.
        OSError: a pack cannot be written; carries its name.
    """
    packs = [
        (folder / f"pack-{first // PACK_VIDEOS:05d}.bin", [root / v.path for v in videos[first : first + PACK_VIDEOS]])
        for first in range(0, len(videos), PACK_VIDEOS)
    ]
    if min(workers, len(packs)) <= 1:
        _quiet_and_single_threaded()
        for pack, files in packs:
            yield from write_pack(pack, files, frames)
        return
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(packs)), spawn, initializer=_start_worker)
    try:
        # Held back while the workers start, who inherit this: Ctrl-C reaches this process alone, in one piece.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        futures = [pool.submit(_write_whole_pack, pack, files, frames) for pack, files in packs]
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        for future in futures:
            yield from future.result()
    except (KeyboardInterrupt, GeneratorExit):
        for worker in multiprocessing.active_children():
            worker.kill()  # it would go on to the end of its pack
        raise
    except BrokenProcessPool:
        begun = [
            files for (pack, files), future in zip(packs, futures, strict=True) if future.exception() and pack.exists()
        ]
        if not begun:
            raise  # it died before it came to any video
        suspects = " or ".join(f"{files[0]} to {files[-1]}" for files in begun)
        raise UserError(
            f"a worker process died, on one of the videos {suspects} (in the order of {CATALOG}): if memory ran out, "
            "lower runtime.workers; else find the video that does it and take it away"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    _quiet_and_single_threaded()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed parent cannot tell its workers to stop; they would wait for work forever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _quiet_and_single_threaded() -> None:
    """Keep OpenCV and its FFmpeg off stderr; one thread a process, since processes share the cores already."""
    os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"  # AV_LOG_QUIET; read when the first video is opened
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    cv2.setNumThreads(1)


def write_pack(pack: Path, files: list[Path], frames: Frames) -> Iterator[Extracted]:
    """Write the frames of some video files into one pack, in order; yield what became of each file.

    Raises:
        OSError: the pack cannot be written; carries its name.
    """
    with writing(pack) as out:
        for file in files:
            yield _append_frames(out, file, frames)


def _write_whole_pack(pack: Path, files: list[Path], frames: Frames) -> list[Extracted]:
    return list(write_pack(pack, files, frames))


def _append_frames(out: BinaryIO, file: Path, frames: Frames) -> Extracted:
    try:
        with file.open("rb") as opened:
            empty = not opened.read(1)
    except OSError as error:
        return Extracted(reason=str(error.strerror))
    if empty:
        return Extracted(reason="empty file, zero bytes")
    # An absolute path cannot be taken for a URL. Threads: see _quiet_and_single_threaded.
    capture = cv2.VideoCapture(str(file.absolute()), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    if not capture.isOpened():
        return Extracted(reason="not a video, or of a format that OpenCV cannot read")
    more, image = capture.read()
    if not more:
        return Extracted(reason=f"no frame can be decoded (codec {_codec(capture)})")
    height, width = image.shape[:2]
    scale = frames.short_side / min(width, height)
    size = (round(width * scale), round(height * scale))
    if max(size) > JPEG_MAX_SIDE:
        return Extracted(reason=f"too long and thin to store, {width}x{height}")
    quality = [cv2.IMWRITE_JPEG_QUALITY, frames.jpeg_quality]
    lengths = []
    while more:
        _, jpeg = cv2.imencode(".jpg", resize(image, size), quality)
        out.write(jpeg.data)
        lengths.append(jpeg.size)
        more, image = capture.read(image)  # into the same memory
    return Extracted(lengths, round(capture.get(cv2.CAP_PROP_FPS), 3), width, height)


def _codec(capture: cv2.VideoCapture) -> str:
    code = int(capture.get(cv2.CAP_PROP_FOURCC))
    return code.to_bytes(4, "little", signed=True).decode("ascii", "replace").strip("\0 ") or "unknown"


def resize(image: MatLike, size: tuple[int, int]) -> MatLike:
    """Resize an image by averaging areas, or by linear interpolation where it grows.

    Halving as long as it goes gives nearly the same as one step, 2 to 5 times faster: OpenCV has special code for it.

    Args:
        image: uint8 [H, W, 3].
        size: width and height to make.
    """
    height, width = image.shape[:2]
    while width >= 2 * size[0] and height >= 2 * size[1] and width % 2 == height % 2 == 0:
        width, height = width // 2, height // 2
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    grows = width < size[0] or height < size[1]
    return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR if grows else cv2.INTER_AREA)
