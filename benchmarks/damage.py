"""Measure how much damage frame extraction notices, on thousands of damaged copies of videos in many containers.

    python benchmarks/damage.py FOLDER [--copies 27] [--seed 0]

The first videos of FOLDER are joined into one of 200 frames, 320x240, which is encoded by each of KINDS. Copies of it
are damaged in each of DAMAGES, at random places behind the header, and extracted as the stage extract_frames does. A
copy is missed if its status is `ok`, though more than 1 % of the frames are missing or differ from those of the
undamaged file by more than 10 gray levels on average. The last line of the output is JSON.

Shapes: H height, W width, C=3 colours (BGR).
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

from mofore.config import Frames
from mofore.errors import UserError, run_stage
from mofore.frames.child import end_child
from mofore.frames.watchdog import write_pack
from mofore.videos.folder import read_folder

N_FRAMES, WIDTH, HEIGHT = 200, 320, 240
MAX_DIFFERENCE, MAX_SHARE = 10, 0.01  # gray levels; share of frames
KINDS: dict[str, tuple[str, dict[str, str]]] = {  # name and container: encoder and its options
    "h264.mp4": ("libx264", {}),
    "h264.mkv": ("libx264", {"bf": "2"}),
    "h264.ts": ("libx264", {}),
    "h264.mov": ("libx264", {"g": "25"}),
    "hevc.mkv": ("libx265", {"x265-params": "log-level=none"}),
    "mpeg4.mp4": ("mpeg4", {}),
    "mpeg4.avi": ("mpeg4", {}),
    "mjpeg.avi": ("mjpeg", {}),
    "mpeg2.ts": ("mpeg2video", {}),
    "mpeg1.mpg": ("mpeg1video", {}),
    "wmv2.wmv": ("wmv2", {}),
    "flv1.flv": ("flv1", {}),
    "vp8.webm": ("libvpx", {}),
    "vp9.webm": ("libvpx-vp9", {}),
}
Images = npt.NDArray[np.int16]
Rng = np.random.Generator


def flips(data: bytearray, at: int, rng: Rng) -> None:
    """Flip up to 20 bits between `at` and the end."""
    for place in rng.integers(at, len(data), rng.integers(1, 21)):
        data[place] ^= 1 << int(rng.integers(8))


def zeros(data: bytearray, at: int, rng: Rng) -> None:
    """Overwrite up to a tenth of the file with zeros."""
    length = min(int(rng.choice([64, 512, 4096, len(data) // 10])), len(data) - at)
    data[at : at + length] = bytes(length)


def zero_end(data: bytearray, at: int, rng: Rng) -> None:
    """Overwrite all from `at` on with zeros."""
    data[at:] = bytes(len(data) - at)


def hole(data: bytearray, at: int, rng: Rng) -> None:
    """Remove up to a tenth of the file; 188 and 1316 bytes are one and seven packets of a transport stream."""
    del data[at : at + int(rng.choice([188, 1316, 4096, len(data) // 10]))]


def cut(data: bytearray, at: int, rng: Rng) -> None:
    """Remove all from `at` on."""
    del data[at:]


DAMAGES: tuple[Callable[[bytearray, int, Rng], None], ...] = (flips, zeros, zero_end, hole, cut)


def source_frames(folder: Path) -> list[npt.NDArray[np.uint8]]:
    """The first N_FRAMES frames of a folder's videos, [H, W, C] each."""
    images: list[npt.NDArray[np.uint8]] = []
    for video in read_folder(folder).videos:
        capture = cv2.VideoCapture(str(folder / video.path), cv2.CAP_FFMPEG)
        while len(images) < N_FRAMES and (read := capture.read())[0]:
            images.append(np.asarray(cv2.resize(read[1], (WIDTH, HEIGHT)), np.uint8))
    if len(images) < N_FRAMES:
        raise UserError(f"{folder}: {len(images)} frames, but {N_FRAMES} are needed: name a folder with more videos")
    return images


def encode(path: Path, codec: str, options: dict[str, str], images: list[npt.NDArray[np.uint8]]) -> None:
    """Write the images as a video."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.bit_rate = WIDTH, HEIGHT, 800_000
        stream.codec_context.thread_count = 1  # the bytes of some encoders depend on it
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode(None))


def extract(file: Path) -> tuple[str, Images]:
    """Status of a file, and its stored frames [frames, H, W, C]."""
    pack = file.with_suffix(".bin")
    (found,) = write_pack(pack, [file], Frames(64, 0.0, 95), timeout=60)
    data, at, images = np.frombuffer(pack.read_bytes(), np.uint8), 0, []
    for length in found.lengths:
        images.append(cv2.imdecode(data[at : at + length], cv2.IMREAD_COLOR))
        at += length
    return found.status, np.array(images, np.int16)


def is_missed(status: str, images: Images, undamaged: Images) -> bool:
    """Whether a copy counts as sound, but is not."""
    if status != "ok":
        return False
    both = min(len(images), len(undamaged))
    wrong = (np.abs(images[:both] - undamaged[:both]).mean(axis=(1, 2, 3)) > MAX_DIFFERENCE).sum()
    return bool(wrong + max(0, len(undamaged) - both) > MAX_SHARE * len(undamaged))


def measure(kind: str, folder: Path, copies: int, seed: int) -> dict[str, int]:
    """By damage: how many copies of one kind are missed."""
    whole = folder / kind
    data = whole.read_bytes()
    status, undamaged = extract(whole)
    if status != "ok":
        raise UserError(f"{kind}: not damaged, but {status}")
    behind_header, missed = min(2000, len(data) // 20), {}
    for number, damage in enumerate(DAMAGES):
        missed[damage.__name__] = 0
        for copy in range(copies):
            rng = np.random.default_rng((seed, list(KINDS).index(kind), number, copy))
            damaged = bytearray(data)
            damage(damaged, int(rng.integers(behind_header, len(data) - 1)), rng)
            file = folder / f"damaged{whole.suffix}"
            file.write_bytes(damaged)
            missed[damage.__name__] += is_missed(*extract(file), undamaged)
    return missed


def main() -> None:
    """Damage copies of all kinds, and count those that are missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="videos, for their pictures")
    parser.add_argument("--copies", type=int, default=27, help="damaged copies of each kind and damage")
    parser.add_argument("--seed", type=int, default=0, help="of the damages")
    arguments = parser.parse_args()
    images, missed = source_frames(arguments.folder), {}
    try:
        with tempfile.TemporaryDirectory() as folder:
            for kind, (codec, options) in KINDS.items():
                encode(Path(folder) / kind, codec, options, images)
                missed[kind] = measure(kind, Path(folder), arguments.copies, arguments.seed)
                counts = ", ".join(f"{damage} {count}" for damage, count in missed[kind].items())
                print(f"{kind:12}missed of {arguments.copies}: {counts}", flush=True)
    finally:
        end_child()
    total = sum(sum(of_kind.values()) for of_kind in missed.values())
    print(json.dumps({"copies": arguments.copies * len(KINDS) * len(DAMAGES), "missed": total, "by_kind": missed}))


if __name__ == "__main__":
    run_stage(main)
