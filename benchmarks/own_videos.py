"""Measure `mofore embed` against its own bounds, and its encoder against larger ones on the same clips. Needs a CPU.

    python benchmarks/own_videos.py FOLDER [--videos 60] [--rounds 3] [--memory HOURS]

The same videos of a folder, in turns, each way with all cores:

    mofore    `mofore embed`, as a command: start of the processes, decoding, network, table
    decode    a bare loop of OpenCV over the frames, one process a core: without shrinking, looking at the file, checks
    forward   the network alone, one process a core, on as many clips as the table is made of

On a CPU both take their time on the same cores, so the bound is the sum of decode and forward, not the larger of them.
Both ratios are printed. With few videos the start of the processes counts most, so the ratios are also given without
it: the time for no video but one of a few frames is subtracted.

Then one clip at a time, one network after the other, float32, all cores: the shipped encoder, and two networks of the
library transformers with random weights: VideoMAE-base (16 frames of 224x224) and the architecture of V-JEPA 2 (ViT-L,
64 frames of 256x256).

With --memory, a video of so many hours is made by repetition, and the memory of the processes that embed it is watched.

The last line of the output is JSON.

Shapes: B clips, C channels, T frames, H = W side of a clip.
"""

import mofore.runtime.openmp  # noqa: F401 # must come before anything that imports torch

# isort: split
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import av
import cv2
import numpy as np
import torch

from mofore.clips.augment import to_input
from mofore.collection.encoder import open_encoder
from mofore.collection.find import find_videos
from mofore.collection.stream import CLIPS_PER_BATCH
from mofore.collection.table import GRID, read_videos
from mofore.collection.windows import in_frames
from mofore.embedding.inference import streams_of, view_to_input
from mofore.utils.limits import usable_cores

CORES = usable_cores()
COMMAND = [sys.executable, "-m", "mofore.cli.main", "embed"]


def main() -> None:
    """Print the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--videos", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", type=float, default=0.0, metavar="HOURS")
    arguments = parser.parse_args()
    videos = find_videos([arguments.folder])
    videos = [videos[int(at)] for at in np.linspace(0, len(videos) - 1, min(arguments.videos, len(videos)))]
    result: dict[str, float] = {"cores": CORES, "videos": len(videos)}
    if arguments.memory:
        result |= memory(videos[0], arguments.memory)
    else:
        result |= speed(videos, arguments.rounds) | networks()
    print(json.dumps(result))


def speed(videos: list[Path], rounds: int) -> dict[str, float]:
    """Median seconds of each way, and ratios."""
    with tempfile.TemporaryDirectory() as folder:
        table, tiny = Path(folder, "t.parquet"), Path(folder, "tiny.avi")
        writer = cv2.VideoWriter(str(tiny), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 64))
        for _ in range(26):
            writer.write(np.zeros((64, 64, 3), np.uint8))
        writer.release()

        def embed(files: list[Path]) -> None:
            table.unlink(missing_ok=True)
            subprocess.run([*COMMAND, *map(str, files), "--out", str(table), "--quiet"], check=True)

        embed(videos)
        rows = read_videos(table)
        clips = sum(map(_clips, rows.frames.tolist(), rows.fps.tolist()))
        batches = [CLIPS_PER_BATCH] * (clips // CLIPS_PER_BATCH) + [clips % CLIPS_PER_BATCH]
        pool = ProcessPoolExecutor(CORES, get_context("spawn"))
        list(pool.map(_forward, [1] * CORES))  # starts the processes
        ways: dict[str, Callable[[], object]] = {
            "mofore": lambda: embed(videos),
            "start": lambda: embed([tiny]),
            "decode": lambda: list(pool.map(_decode, videos)),
            "forward": lambda: list(pool.map(_forward, batches)),
        }
        taken: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way, run in ways.items():
                began = time.monotonic()
                run()
                taken[way].append(time.monotonic() - began)
        pool.shutdown()
    seconds = {way: median(times) for way, times in taken.items()}
    for way, value in seconds.items():
        print(f"{way:8} {value:7.2f} s")
    own = seconds["mofore"] - seconds["start"]
    total = seconds["decode"] + seconds["forward"]
    ratios = {
        "clips": clips,
        "of_sum": total / seconds["mofore"],
        "of_sum_without_start": total / own,
        "of_larger_without_start": max(seconds["decode"], seconds["forward"]) / own,
    }
    return {f"seconds_{way}": round(value, 2) for way, value in seconds.items()} | {
        name: round(value, 3) for name, value in ratios.items()
    }


def _clips(frames: int, fps: float) -> int:
    """Number of clips of a video with the default windows."""
    windows = in_frames(2.0, 1.0, fps or 25.0, 25)
    spans = [(start, windows.length) for start in range(0, frames - windows.length + 1, windows.step)]
    if last := windows.last(frames):
        spans.append(last)
    return len({clip for span in spans for clip in windows.clips(*span)})


def _decode(file: Path) -> int:
    cv2.setNumThreads(1)
    capture, frames = cv2.VideoCapture(str(file), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1]), 0
    while capture.read()[0]:
        frames += 1
    return frames


def _forward(clips: int) -> None:
    torch.set_num_threads(1)
    encoder = open_encoder()
    frames_BTHWC = torch.randint(0, 256, (clips, 9, 56, 56, 3), dtype=torch.uint8)
    with torch.inference_mode():
        for stream, kind in streams_of(encoder.network):
            stream.pyramid(view_to_input(frames_BTHWC, "ordered", encoder.clip.input, 0, kind), GRID)


def networks() -> dict[str, float]:
    """Clips a second of the shipped encoder and of two large ones, one clip at a time."""
    from transformers import VideoMAEConfig, VideoMAEModel, VJEPA2Config, VJEPA2Model

    encoder = open_encoder().network
    frames_BTHWC = torch.randint(0, 256, (1, 9, 56, 56, 3), dtype=torch.uint8)
    mae, jepa = VideoMAEModel(VideoMAEConfig()).eval(), VJEPA2Model(VJEPA2Config()).eval()
    rates = {}
    with torch.inference_mode():
        rates["mofore"] = _rate(lambda: encoder(to_input(frames_BTHWC, "two_stream")))
        x_BTCHW = torch.randn(1, 16, 3, 224, 224)
        rates["videomae_base"] = _rate(lambda: mae(x_BTCHW))
        x_BTCHW = torch.randn(1, 64, 3, 256, 256)
        rates["vjepa2_vitl"] = _rate(lambda: jepa(x_BTCHW, skip_predictor=True))
    for name, rate in rates.items():
        print(f"{name:14} {rate:9.3f} clips/s")
    ratios = {f"mofore_over_{name}": round(rates["mofore"] / rate, 1) for name, rate in list(rates.items())[1:]}
    return {f"clips_per_s_{name}": round(rate, 3) for name, rate in rates.items()} | ratios


def _rate(run: Callable[[], object]) -> float:
    """Runs per second, over at least 5 seconds or one run, after one that does not count if it is quick."""
    began = time.monotonic()
    run()
    if time.monotonic() - began > 30:
        return 1 / (time.monotonic() - began)
    began, runs = time.monotonic(), 0
    while time.monotonic() - began < 5:
        run()
        runs += 1
    return runs / (time.monotonic() - began)


def memory(video: Path, hours: float) -> dict[str, float]:
    """Peak memory of the processes in each tenth of the time that a long video takes, in MB."""
    with tempfile.TemporaryDirectory() as folder:
        long = Path(folder, "long.mp4")
        _repeat(video, long, hours)
        print(f"{hours:g} hours: {long.stat().st_size / 1e6:,.0f} MB")
        out = Path(folder, "t.parquet")
        began = time.monotonic()
        run = subprocess.Popen([*COMMAND, str(long), "--out", str(out), "--quiet"])
        seen = []
        while run.poll() is None:
            seen.append(_resident(run.pid))
            time.sleep(0.5)
        assert run.returncode == 0
        took = time.monotonic() - began
        rows = read_videos(out)
        size = out.stat().st_size
    peaks = [max(part) / 1e6 for part in np.array_split(seen, 10) if len(part)]
    print("peak memory by tenth of the time, MB: " + " ".join(f"{peak:,.0f}" for peak in peaks))
    return {
        "hours": round(float(rows.end_s.iloc[0]) / 3600, 3),
        "seconds": round(took, 1),
        "peak_mb_second_tenth": round(peaks[1]),
        "peak_mb_last_tenth": round(peaks[-1]),
        "table_mb": round(size / 1e6, 1),
    }


def _repeat(video: Path, out: Path, hours: float) -> None:
    """A video that repeats another one: its frames are encoded once, in packets that do not need those after them."""
    with av.open(str(video)) as source, av.open(str(out), "w") as target:
        stream = target.add_stream("libx264", rate=25, options={"bf": "0", "g": "50", "threads": "1"})
        packets: list[bytes] = []
        keys: list[bool] = []
        for number, frame in enumerate(source.decode(video=0)):
            if number == 0:
                stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "yuv420p"
            frame.pts, frame.time_base = number, Fraction(1, 25)
            for packet in stream.encode(frame):
                packets.append(bytes(packet))
                keys.append(packet.is_keyframe)
        for packet in stream.encode(None):
            packets.append(bytes(packet))
            keys.append(packet.is_keyframe)
        for number in range(int(hours * 3600 * 25)):
            packet = av.Packet(packets[number % len(packets)])
            packet.stream, packet.time_base = stream, Fraction(1, 25)
            packet.pts = packet.dts = number
            packet.is_keyframe = keys[number % len(packets)]
            target.mux(packet)


def _resident(pid: int) -> int:
    """Bytes in memory of a process and its descendants."""
    total, waiting = 0, [pid]
    while waiting:
        one = waiting.pop()
        try:
            total += int(Path(f"/proc/{one}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            for thread in Path(f"/proc/{one}/task").iterdir():
                waiting += [int(child) for child in (thread / "children").read_text().split()]
        except OSError:
            continue
    return total


if __name__ == "__main__":
    main()
