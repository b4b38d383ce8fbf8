"""Measure how fast frames are extracted, against a bare OpenCV loop and other readers.

    python benchmarks/extract.py FOLDER [--rounds 3] [--videos 1000]

Each way decodes all videos of FOLDER, resizes each frame to a short side of 64 pixels, encodes it as JPEG of quality 90
and writes it to a file. Each runs in a process of its own.

    mofore 1, mofore 2                 the code of stage extract_frames, with 1 or 2 workers; starting them counts
    bare loop                          OpenCV on one thread, resizing with the function that mofore uses
    pyav, decord, torchcodec           other readers on one thread, resizing with a single cv2.resize

All ways are timed once in each round, and their medians are compared. Readers that are not installed are left out. The
last line of the output is JSON.
"""

import argparse
import importlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
from cv2.typing import MatLike

from mofore.config import Frames
from mofore.frames.extract import videos_per_pack
from mofore.frames.opencv import configure_opencv
from mofore.frames.packs import Pack, read_sidecar
from mofore.frames.parallel import make_packs
from mofore.frames.shrink import resize
from mofore.videos.folder import read_folder

SHORT_SIDE, QUALITY = 64, 90
MODULES = {  # to import for each reader
    "bare loop": "cv2",
    "pyav": "av",
    "decord": "decord",
    "torchcodec": "torchcodec.decoders",
}


def target_size(image: MatLike) -> tuple[int, int]:
    """Width and height in pixels that give the image a short side of SHORT_SIDE."""
    scale = SHORT_SIDE / min(image.shape[:2])
    return round(image.shape[1] * scale), round(image.shape[0] * scale)


def resize_by_area(image: MatLike, size: tuple[int, int]) -> MatLike:
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def store(images: Iterator[MatLike], out: BinaryIO, resizer: Callable[[MatLike, tuple[int, int]], MatLike]) -> int:
    """Resize, encode and write all images; return how many they were."""
    frames = 0
    for image in images:
        jpeg = cv2.imencode(".jpg", resizer(image, target_size(image)), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
        out.write(jpeg.data)
        frames += 1
    return frames


def by_opencv(file: Path) -> Iterator[MatLike]:
    capture = cv2.VideoCapture(str(file), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    success, image = capture.read()
    while success:
        yield image
        success, image = capture.read(image)


def by_pyav(file: Path) -> Iterator[MatLike]:
    import av

    with av.open(str(file)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="bgr24")


def by_decord(file: Path) -> Iterator[MatLike]:
    decord: Any = importlib.import_module("decord")
    for frame in decord.VideoReader(str(file), num_threads=1):
        yield cv2.cvtColor(frame.asnumpy(), cv2.COLOR_RGB2BGR)


def by_torchcodec(file: Path) -> Iterator[MatLike]:
    decoders: Any = importlib.import_module("torchcodec.decoders")
    for frame in decoders.VideoDecoder(str(file), dimension_order="NHWC", num_ffmpeg_threads=1):
        yield cv2.cvtColor(np.asarray(frame), cv2.COLOR_RGB2BGR)


READERS = {"bare loop": by_opencv, "pyav": by_pyav, "decord": by_decord, "torchcodec": by_torchcodec}


def extract(name: str, files: list[Path]) -> dict[str, float]:
    """Extract all frames in one way; return their number and the seconds taken. Imports do not count."""
    with tempfile.TemporaryDirectory() as folder:
        if name.startswith("mofore"):
            size = videos_per_pack(len(files))
            firsts = range(0, len(files), size)
            wanted = Frames(SHORT_SIDE, 0.0, QUALITY)
            packs = [Pack(Path(folder, f"pack-{n}.bin"), files[n : n + size], wanted, 60) for n in firsts]
            start = time.perf_counter()
            for _ in make_packs(packs, int(name.split()[1]), "loky"):
                pass
            seconds = time.perf_counter() - start
            frames = sum(len(video.lengths) for pack in packs for video in read_sidecar(pack.target))
        else:
            configure_opencv()
            importlib.import_module(MODULES[name])
            with Path(folder, "frames").open("wb") as out:
                start = time.perf_counter()
                resizer = resize if name == "bare loop" else resize_by_area
                frames = sum(store(READERS[name](file), out, resizer) for file in files)
                seconds = time.perf_counter() - start
    return {"frames": frames, "seconds": seconds}


def measure(name: str, folder: Path, videos: int) -> dict[str, Any] | None:
    """Run `extract` in a process of its own; None if that fails, for example because a reader is not installed."""
    command = [sys.executable, __file__, str(folder), "--videos", str(videos), "--only", name]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        print(f"{name}: left out: {ran.stderr.strip().splitlines()[-1][:200]}")
        return None
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    print(f"{name}: {found['frames']:,} frames in {found['seconds']:.2f} s", flush=True)
    return found


def main() -> None:
    """Time all ways and compare their medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="videos, as data.source=folder takes them")
    parser.add_argument("--rounds", type=int, default=3, help="how often each way is timed")
    parser.add_argument("--videos", type=int, default=10**9, help="use only this many videos, the first ones")
    parser.add_argument("--only", help="time this way once, in this process")
    options = parser.parse_args()
    if options.only:
        files = [options.folder.absolute() / video.path for video in read_folder(options.folder).videos]
        print(json.dumps(extract(options.only, files[: options.videos])))
        return
    names = ["mofore 1", "bare loop", "mofore 2", "pyav", "decord", "torchcodec"]
    seconds: dict[str, list[float]] = {name: [] for name in names}
    frames: dict[str, int] = {}
    for _ in range(options.rounds):
        for name in list(seconds):
            found = measure(name, options.folder, options.videos)
            if found is None:
                del seconds[name]
                continue
            seconds[name].append(found["seconds"])
            frames[name] = found["frames"]
    speed = {name: frames[name] / statistics.median(times) for name, times in seconds.items()}
    result = {
        "frames": frames,
        "frames_per_second": {name: round(value, 1) for name, value in speed.items()},
        "share_of_bare_loop": round(speed["mofore 1"] / speed["bare loop"], 3),
        "two_workers_over_one": round(speed["mofore 2"] / speed["mofore 1"], 3),
        "rounds": options.rounds,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
