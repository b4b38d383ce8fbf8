"""Measure how many random clips per second are read on one core: our frame store against other readers.

    python benchmarks/loader.py FOLDER [--short-side 128] [--clips 200] [--frames 16]
    python benchmarks/loader.py --memory

With a folder of videos: extracts their frames into a temporary folder with the stages of this project, then times how
long each reader takes for the same random clips. Readers take turns every 10 clips, so that other work on the machine
slows all of them alike. The medians are compared; readers that are not installed are left out.

    mofore                              frames from the packs of stage extract_frames, as training reads them
    imdecode                            cv2.imdecode alone, on the same packs held in memory
    opencv, decord, pyav, torchcodec    the clips from the video files, resized to the size of the stored frames

With --memory: measures the memory of one loader process over 100 and over 10,000 tiny videos, and how much it grows
after the first 100 samples (Linux only).

Needs: pip install -e '.[bench]'. The last line of the output is JSON.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from omegaconf import OmegaConf
from torch.utils.data import DataLoader

from mofore.clips.dataset import ForecastDataset
from mofore.config import Params, load_params
from mofore.frames.store import FramesArray, FrameStore

ROOT = Path(__file__).parents[1]
Reader = Callable[[int, npt.NDArray[np.int64]], object]  # takes the number of a video and frame numbers; decodes them
MEMORY_VIDEOS = (100, 10_000)  # numbers of videos over which memory is compared
TURN = 10  # clips that a reader reads before the next reader takes its turn


def extract(folder: Path, project: Path, short_side: int) -> FrameStore:
    """Run the stages download to manifest on a folder of videos, in the temporary project folder."""
    params = OmegaConf.load(ROOT / "params.yaml")
    changes = {"data.source": "folder", "data.path": str(folder.resolve()), "frames.short_side": short_side}
    for key, value in {**changes, "data.max_bad_share": 1.0}.items():
        OmegaConf.update(params, key, value)
    OmegaConf.save(params, project / "params.yaml")
    for stage in ("download", "extract_frames", "manifest"):
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        subprocess.run(
            [sys.executable, ROOT / f"stages/{stage}.py"], cwd=project, env=environment, check=True, stdout=sys.stderr
        )
    return FrameStore(project / "data/frames")


def make_readers(folder: Path, videos: FrameStore) -> tuple[dict[str, Reader], dict[str, str]]:
    """Readers that decode frames of a video as RGB at the stored size; and why other readers are left out, by name."""
    paths = [str(folder / path) for path in videos.table.video]
    images = [videos.read(video, np.array([0]))[0] for video in range(len(videos))]
    sizes = [(image.shape[1], image.shape[0]) for image in images]  # width, height
    index = np.load(videos.reader.folder / "index.npy")
    packs = [pack.read_bytes() for pack in sorted(videos.reader.folder.glob("pack-*.bin"))]

    def imdecode(video: int, frames: npt.NDArray[np.int64]) -> None:
        for pack, offset, length in index[videos.reader.first_V[video] + frames].tolist():
            cv2.imdecode(np.frombuffer(packs[pack], np.uint8, length, offset), cv2.IMREAD_COLOR_RGB)

    def opencv(video: int, frames: npt.NDArray[np.int64]) -> FramesArray:
        capture = cv2.VideoCapture(paths[video], cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        capture.set(cv2.CAP_PROP_POS_FRAMES, int(frames[0]))
        clip = [cv2.cvtColor(cv2.resize(capture.read()[1], sizes[video]), cv2.COLOR_BGR2RGB) for _ in frames]
        return np.stack(clip)

    readers: dict[str, Reader] = {"mofore": videos.read, "imdecode": imdecode, "opencv": opencv}
    missing = {}
    for name, make in {"decord": _decord, "pyav": _pyav, "torchcodec": _torchcodec}.items():
        try:
            readers[name] = make(paths, sizes)
        except (ImportError, OSError, RuntimeError) as error:  # RuntimeError: torchcodec finds no FFmpeg libraries
            missing[name] = str(error).splitlines()[0]
    return readers, missing


def _decord(paths: list[str], sizes: list[tuple[int, int]]) -> Reader:
    from decord import VideoReader, cpu

    def read(video: int, frames: npt.NDArray[np.int64]) -> Any:
        width, height = sizes[video]
        return VideoReader(paths[video], cpu(0), width, height, num_threads=1).get_batch(frames.tolist()).asnumpy()

    return read


def _pyav(paths: list[str], sizes: list[tuple[int, int]]) -> Reader:
    import av

    def read(video: int, frames: npt.NDArray[np.int64]) -> FramesArray:
        width, height = sizes[video]
        with av.open(paths[video]) as container:
            stream = container.streams.video[0]
            stream.thread_type, stream.codec_context.thread_count = "NONE", 1
            assert stream.average_rate is not None
            assert stream.time_base is not None
            first = (stream.start_time or 0) + int(int(frames[0]) / stream.average_rate / stream.time_base)
            container.seek(first, stream=stream)
            clip: list[Any] = []
            for frame in container.decode(stream):
                if frame.pts is None or frame.pts >= first:
                    clip.append(frame.to_ndarray(width=width, height=height, format="rgb24"))
                if len(clip) == len(frames):
                    break
            return np.stack(clip)

    return read


def _torchcodec(paths: list[str], sizes: list[tuple[int, int]]) -> Reader:
    from torchcodec.decoders import VideoDecoder

    def read(video: int, frames: npt.NDArray[np.int64]) -> Any:
        decoder = VideoDecoder(paths[video], dimension_order="NHWC", num_ffmpeg_threads=1, seek_mode="approximate")
        clip = decoder.get_frames_at(frames.tolist()).data.numpy()
        return np.stack([cv2.resize(frame, sizes[video]) for frame in clip])

    return read


def time_clips(readers: dict[str, Reader], videos: FrameStore, clips: int, frames: int) -> dict[str, list[float]]:
    """Seconds that each reader takes for each of the same random clips. Readers take turns every TURN clips."""
    rng = np.random.default_rng(0)
    seconds: dict[str, list[float]] = {name: [] for name in readers}
    n_frames = videos.table.frames.to_numpy()
    for _ in range(0, clips, TURN):
        drawn = rng.integers(len(videos), size=TURN).tolist()
        wanted = [int(rng.integers(n_frames[video] - frames + 1)) + np.arange(frames) for video in drawn]
        for name in random.sample(list(readers), len(readers)):
            for video, clip in zip(drawn, wanted, strict=True):
                start = time.perf_counter()
                readers[name](video, clip)
                seconds[name].append(time.perf_counter() - start)
    return seconds


def compare_speed(folder: Path, short_side: int, clips: int, frames: int) -> dict[str, Any]:
    """Clips per second of each reader, from the median time of a clip."""
    with tempfile.TemporaryDirectory() as project:
        videos = extract(folder, Path(project), short_side)
        videos.leave_out_shorter(2 * frames, "a clip that is not at the very end", f"--frames {frames}")
        readers, missing = make_readers(folder, videos)
        time_clips(readers, videos, 5, frames)  # warm up
        seconds = time_clips(readers, videos, clips, frames)
    rate = {name: 1 / float(np.median(times)) for name, times in seconds.items()}
    for name, value in sorted(rate.items(), key=lambda item: -item[1]):
        print(f"{name:12}{value:8.1f} clips/s   mofore is {rate['mofore'] / value:6.2f} times as fast")
    for name, reason in missing.items():
        print(f"{name:12}left out: {reason}")
    return {
        "clips_per_second": {name: round(value, 1) for name, value in rate.items()},
        "mofore_to": {name: round(rate["mofore"] / value, 3) for name, value in rate.items() if name != "mofore"},
        "left_out": missing,
        "videos": len(videos),
        "clips": clips,
        "frames": frames,
        "short_side": short_side,
    }


def write_tiny_videos(folder: Path, n_videos: int, n_frames: int = 40, videos_a_pack: int = 64) -> None:
    """Write a frames folder, as stage extract_frames does. Every frame is the same random picture of 32 x 24 pixels."""
    jpeg = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8))[1].tobytes()
    (folder / "packs").mkdir()
    rows_a_pack = [min(videos_a_pack, n_videos - i) * n_frames for i in range(0, n_videos, videos_a_pack)]
    for number, rows in enumerate(rows_a_pack):
        (folder / f"packs/pack-{number:05d}.bin").write_bytes(jpeg * rows)
    pack = np.repeat(np.arange(len(rows_a_pack)), rows_a_pack)
    offset = np.concatenate([np.arange(rows) for rows in rows_a_pack]) * len(jpeg)
    np.save(folder / "packs/index.npy", np.column_stack([pack, offset, np.full_like(pack, len(jpeg))]))
    names = [f"class{video % 50}/a video with a name of common length {video}.avi" for video in range(n_videos)]
    table = pd.DataFrame({"video": names, "label": "a", "group": names, "split": "train", "frames": n_frames})
    table.assign(fps=25.0, width=32, height=24, status="ok", reason="").to_csv(folder / "videos.csv", index=False)


class MemoryProbe(ForecastDataset):
    """Makes samples as in training, but returns `memory()` for every 100th sample and () for the others."""

    def __getitem__(self, key: tuple[int, int]) -> Any:
        super().__getitem__(key)
        return memory() if key[0] % 100 == 99 else ()


def memory() -> tuple[float, float]:
    """Peak resident memory and current private memory of this process in MiB. Linux only."""
    peak = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
    rollup = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return int(peak) / 1024, sum(int(line.split()[1]) for line in rollup if line.startswith("Private_")) / 1024


def measure_loader(params: Params, folder: Path, start_method: str, samples: int) -> dict[str, float]:
    """MiB of one loader process: peak, growth of the peak since the 100th sample, and private memory at the end."""
    dataset = MemoryProbe(FrameStore(folder), params.clip, params.forecast, params.augment, params.seed)
    draw = random.Random(0)
    order: Any = [(sample, draw.randrange(len(dataset.n_frames))) for sample in range(samples)]
    loader: Any = DataLoader(
        dataset, sampler=order, batch_size=None, num_workers=1, multiprocessing_context=start_method
    )
    measured = [sample for sample in loader if sample]  # (peak, private) after each 100 samples
    (first_peak, _), (last_peak, last_private) = measured[0], measured[-1]
    return {"peak": last_peak, "grown": last_peak - first_peak, "own": last_private}


def compare_memory(samples: int = 10_000) -> dict[str, Any]:
    """Memory of a loader process that makes equally many samples from few and from many videos."""
    params = load_params(ROOT / "params.yaml")
    params.clip.frames, params.clip.stride, params.clip.size, params.forecast.gap_max = 4, 1, 16, 16
    result: dict[str, Any] = {}
    for n_videos in MEMORY_VIDEOS:
        with tempfile.TemporaryDirectory() as folder:
            write_tiny_videos(Path(folder), n_videos)
            for start_method in ("fork", "spawn"):
                found = measure_loader(params, Path(folder), start_method, samples)
                words = ", ".join(f"{name} {value:.1f} MiB" for name, value in found.items())
                print(f"{n_videos:6} videos, {start_method:6}{words}")
                result[f"{start_method}_{n_videos}"] = {name: round(value, 1) for name, value in found.items()}
    return {"loader_memory_mib": result, "samples": samples}


def main() -> None:
    """Compare the speed of readers, or with --memory the memory of loader processes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="videos, as data.source=folder takes them")
    parser.add_argument("--short-side", type=int, default=128, help="short side of the stored frames, in pixels")
    parser.add_argument("--clips", type=int, default=200, help="number of random clips")
    parser.add_argument("--frames", type=int, default=16, help="consecutive frames of a clip")
    parser.add_argument("--memory", action="store_true", help="measure memory instead")
    arguments = parser.parse_args()
    if arguments.memory == bool(arguments.folder):
        parser.error("give a folder of videos, or --memory")
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    if arguments.memory:
        found = compare_memory()
    else:
        found = compare_speed(arguments.folder, arguments.short_side, arguments.clips, arguments.frames)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
