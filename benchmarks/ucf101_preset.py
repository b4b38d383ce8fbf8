"""Measure on a CPU what the presets ucf101 and ucf101_24gb will need from a GPU machine: loader, memory, arithmetic.

    python benchmarks/ucf101_preset.py [--videos FOLDER] [--turns 3] [--batches 12]

Measured here, with the network, the shapes and the losses of preset ucf101:

    loader      samples per second (a context and a future) of the loader, with one and two
                workers, and the workers' processor time per sample. The frames are those of the videos in FOLDER, else
                of drawn textures; stages download to manifest store them as the preset says. Without a GPU,
                batches are not copied to pinned memory.
    worker      resident memory of one loader worker
    memory      bytes that the online pass keeps for the backward pass, and the peak of all tensors of a whole training
                step (inputs, EMA pass, gradients), for two small batches; weights, EMA copy and AdamW's state
    arithmetic  floating-point operations of a step

Extrapolated from this, and called so in the output: the loader rate of 16 cores, from the processor time of a sample;
memory at the batch sizes of the presets, on the line through the two small batches; hours, from what a GPU achieves.
Not counted: cuDNN's workspaces, the CUDA context, fragmentation of the GPU's memory.

Takes 2 to 5 minutes on 2 cores, and 5 GB. The profiler's messages on stderr mean nothing. The last line of the output
is JSON.

Shapes: B samples of a batch, F = 1 future of each, T frames, H = W side of a clip, C colours.
"""

import mofore.runtime.openmp  # noqa: F401 # must come before anything that imports torch

# isort: split
import argparse
import json
import random
import resource
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from loader import extract, measure_loader
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from mofore.clips.dataset import ForecastDataset, Sample
from mofore.clips.loader import MAX_BYTES, PREFETCH_BATCHES, load_batches
from mofore.config import PARAMS_FILE, Params
from mofore.errors import run_stage
from mofore.experiments.presets import preset_params
from mofore.frames.store import FrameStore
from mofore.runtime.distributed import SINGLE
from mofore.training.pretrain import leave_out_short
from mofore.training.step import TrainState, make_train_state, train_step

GPU, CPU = torch.device("cuda"), torch.device("cpu")
GPU_GB = {"ucf101": 80, "ucf101_24gb": 24}  # presets and the memory of the GPU that each is for
CORES = 16  # to which the loader's rate is extrapolated
LOADER_BATCH = 64  # samples; the rate does not depend on it, the memory for prefetched batches does
MEMORY_BATCHES = (4, 8)  # samples
UCF101_TRAIN = 9_537  # training videos of split 1
TFLOPS = (50, 100, 200)  # achieved in training, not the peak on the data sheet
GB = 1e9


def draw_videos(folder: Path, videos: int = 32, frames: int = 120) -> None:
    """Write videos of 320x240 whose frames are moving textures, coarse and fine, with some noise."""
    rng = np.random.default_rng(0)
    for video in range(videos):
        coarse = cv2.resize(
            rng.integers(0, 256, (12, 16, 3), dtype=np.uint8), (320, 240), interpolation=cv2.INTER_CUBIC
        )
        fine = cv2.resize(
            rng.integers(0, 256, (80, 107, 3), dtype=np.uint8), (320, 240), interpolation=cv2.INTER_LINEAR
        )
        writer = cv2.VideoWriter(str(folder / f"v{video:02d}.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25, (320, 240))
        for t in range(frames):
            image = 0.7 * np.roll(coarse, 2 * t, axis=1) + 0.3 * np.roll(fine, t, axis=0)
            writer.write((image + rng.normal(0, 3, image.shape)).clip(0, 255).astype(np.uint8))
        writer.release()


def measure_rate(videos: FrameStore, params: Params, workers: int, batches: int) -> tuple[float, float]:
    """Load batches as for a GPU.

    Returns:
        Samples per second, the start of the workers included; and the workers' processor time per sample in ms.
    """
    dataset = ForecastDataset(videos, params.clip, params.forecast, params.augment, params.seed)
    rng = np.random.default_rng(0)
    keys = [[(n, video) for video in rng.integers(len(videos), size=LOADER_BATCH).tolist()] for n in range(batches)]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    for _ in load_batches(dataset, keys, workers, CPU):
        pass
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    worked = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    samples = batches * LOADER_BATCH
    return samples / seconds, 1000 * worked / samples


def measure_loading(folder: Path | None, params: Params, turns: int, batches: int) -> dict[str, Any]:
    """Rate and memory of the loader. One and two workers take turns; medians count."""
    with tempfile.TemporaryDirectory() as temporary:
        project = Path(temporary)
        if folder is None:
            (project / "drawn").mkdir()
            draw_videos(project / "drawn")
        videos = extract(folder or project / "drawn", project, params.frames.short_side)
        leave_out_short(videos, params)
        measure_rate(videos, params, 1, 2)  # warm up
        rates: dict[int, list[float]] = {1: [], 2: []}
        worked: list[float] = []
        for _ in range(turns):
            for workers in random.sample(sorted(rates), len(rates)):
                rate, milliseconds = measure_rate(videos, params, workers, batches)
                rates[workers].append(rate)
                worked.append(milliseconds)
        memory = measure_loader(params, project / "data/frames", "fork", 400)
        jpeg_bytes = float(np.load(project / "data/frames/packs/index.npy")[:, 2].mean())
        width, height = videos.read(0, np.array([0])).shape[2:0:-1]
        sample = ForecastDataset(videos, params.clip, params.forecast, params.augment, params.seed)[(0, 0)]
    cpu_ms = float(np.median(worked))
    ahead = min(PREFETCH_BATCHES * params.pretrain.batch_size * sum(np.asarray(x).nbytes for x in sample), MAX_BYTES)
    return {
        "frames": "videos" if folder else "drawn",
        "frame_size": f"{width}x{height}",
        "jpeg_kb": round(jpeg_bytes / 1000, 2),
        "samples_per_second": {workers: round(float(np.median(rate)), 1) for workers, rate in rates.items()},
        "cpu_ms_per_sample": round(cpu_ms, 2),
        "samples_per_second_16_cores_extrapolated": round(1000 * CORES / cpu_ms),
        "worker_peak_mib": round(memory["peak"]),
        "worker_own_mib": round(memory["own"]),
        "prefetched_gb": round(ahead / GB, 2),
    }


def fake_batch(params: Params, batch_size: int) -> Sample:
    """A batch of random pixels with the shapes of a preset, unchanged colours and different groups."""
    frames, size = params.clip.frames + (params.clip.input != "rgb"), params.clip.size
    clips = torch.randint(256, (batch_size, 2, frames, size, size, 3), dtype=torch.uint8)
    colour_B34 = torch.eye(3, 4).repeat(batch_size, 1, 1)
    gap_BF = torch.zeros(batch_size, 1, dtype=torch.int64)
    return Sample(clips[:, 0], clips[:, 1:], colour_B34, colour_B34[:, None], gap_BF, torch.arange(batch_size))


def total_bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors)


def measure_step(state: TrainState, params: Params, batch_size: int) -> tuple[int, int]:
    """Train one step.

    Returns:
        Bytes that autograd keeps for the backward pass, each storage counted once, without the weights themselves; and
        the peak of bytes allocated by PyTorch during the step, beyond weights, EMA copy, AdamW's state and the batch.
    """
    batch = fake_batch(params, batch_size)
    lasting = {tensor.untyped_storage().data_ptr() for tensor in state.model.state_dict().values()}
    kept: dict[int, int] = {}  # bytes by address; nothing is freed before the backward pass, so no address is reused

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in lasting:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    state.optimizer.zero_grad(set_to_none=True)  # the step frees the old gradients before it makes new ones
    with (
        profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled,
        saved_tensors_hooks(keep, lambda tensor: tensor),
    ):
        marker = torch.empty(1)  # its allocation is the first event and tells how much there was before
        train_step(state, batch, params, params.momentum.start)
    del marker
    with tempfile.TemporaryDirectory() as folder:
        profiled.export_chrome_trace(f"{folder}/trace.json")
        events = json.loads(Path(folder, "trace.json").read_text())["traceEvents"]
    memory = sorted((event["ts"], event["args"]["Total Allocated"]) for event in events if event["name"] == "[memory]")
    allocated = [total for _, total in memory]
    return sum(kept.values()), max(allocated) - allocated[0]


def through(points: Sequence[tuple[int, int]]) -> tuple[float, float]:
    """Constant and slope of the line through two points."""
    (x, y), (other_x, other_y) = points
    slope = (other_y - y) / (other_x - x)
    return y - slope * x, slope


def measure_memory(params: Params, precision: str) -> dict[str, Any]:
    """Memory of training in GB: what lasts, and what each sample of the batch adds."""
    params.runtime.device, params.runtime.precision, params.runtime.compile = "cpu", precision, False
    state = make_train_state(params, CPU, SINGLE)
    train_step(state, fake_batch(params, 2), params, params.momentum.start)  # creates AdamW's state
    optimizer = [x for of_weight in state.optimizer.state.values() for x in of_weight.values() if x.ndim]
    lasting = total_bytes(state.model.state_dict().values()) + total_bytes(optimizer)
    measured = [measure_step(state, params, batch_size) for batch_size in MEMORY_BATCHES]
    kept, kept_a_sample = through(list(zip(MEMORY_BATCHES, [kept for kept, _ in measured], strict=True)))
    peak, peak_a_sample = through(list(zip(MEMORY_BATCHES, [peak for _, peak in measured], strict=True)))
    return {
        "weights_ema_adamw_gb": lasting / GB,
        "gradients_gb": total_bytes(p for p in state.model.parameters() if p.requires_grad) / GB,
        "kept_gb": kept / GB,
        "kept_gb_per_sample": kept_a_sample / GB,
        "peak_gb": peak / GB,
        "peak_gb_per_sample": peak_a_sample / GB,
    }


def measure_gflop(params: Params) -> float:
    """GFLOP of a training step for each sample, in float32: in bf16, CPUs do a little more (`RightGradientConv3d`)."""
    params.runtime.device, params.runtime.precision, params.runtime.compile = "cpu", "fp32", False
    state = make_train_state(params, CPU, SINGLE)
    with FlopCounterMode(display=False) as flops:
        train_step(state, fake_batch(params, 2), params, params.momentum.start)
    return flops.get_total_flops() / 2 / 1e9


def extrapolate_memory(memory: dict[str, Any]) -> dict[str, dict[str, float]]:
    """For each of GPU_GB, at its batch size: GB kept for the backward pass, and GB of the whole training step."""
    found = {}
    for name in GPU_GB:
        batch_size = preset_params(name, [], Path(PARAMS_FILE)).pretrain.batch_size
        kept = memory["kept_gb"] + batch_size * memory["kept_gb_per_sample"]
        total = memory["weights_ema_adamw_gb"] + memory["peak_gb"] + batch_size * memory["peak_gb_per_sample"]
        found[name] = {"batch_size": batch_size, "kept_gb": round(kept, 1), "total_gb": round(total, 1)}
    return found


def main() -> None:
    """Measure loader, memory and arithmetic; print them, and as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=Path, help="folder of videos, as data.source=folder takes them")
    parser.add_argument("--turns", type=int, default=3, help="how often one and two workers are timed")
    parser.add_argument("--batches", type=int, default=12, help=f"batches of {LOADER_BATCH} samples in each turn")
    arguments = parser.parse_args()
    params = preset_params("ucf101", [], Path(PARAMS_FILE))

    loading = measure_loading(arguments.videos, params, arguments.turns, arguments.batches)
    rates = loading["samples_per_second"]
    print(
        f"loader, {loading['frames']}, JPEGs of {loading['frame_size']} and {loading['jpeg_kb']} KB, measured: "
        f"{rates[1]} samples/s with one worker, {rates[2]} with two; {loading['cpu_ms_per_sample']} ms of a core a "
        f"sample\nloader, extrapolated from a core's time: {loading['samples_per_second_16_cores_extrapolated']:,} "
        f"samples/s with {CORES} cores\nworker, measured: {loading['worker_peak_mib']} MiB resident, "
        f"{loading['worker_own_mib']} of them its own; computed: {loading['prefetched_gb']} GB of batches "
        f"of {params.pretrain.batch_size} prefetched by all workers together"
    )
    result: dict[str, Any] = {"loader": loading, "memory": {}, "extrapolated": {}}
    for precision in ("bf16", "fp32"):
        memory = measure_memory(params, precision)
        print(
            f"{precision}, measured: {1000 * memory['kept_gb_per_sample']:.1f} MB a sample kept for the backward pass; "
            f"peak of the step {1000 * memory['peak_gb_per_sample']:.1f} MB a sample; weights, EMA copy and AdamW "
            f"{memory['weights_ema_adamw_gb']:.2f} GB; gradients {memory['gradients_gb']:.2f} GB"
        )
        result["memory"][precision] = {name: round(value, 4) for name, value in memory.items()}
        result["extrapolated"][precision] = extrapolate_memory(memory)
        for name, needs in result["extrapolated"][precision].items():
            print(
                f"{precision}, extrapolated: {name}, batch {needs['batch_size']}: {needs['kept_gb']} GB kept, "
                f"{needs['total_gb']} GB in all of {GPU_GB[name]} GB"
            )
    gflop = measure_gflop(params)
    steps = params.pretrain.epochs * (UCF101_TRAIN // params.pretrain.batch_size)
    a_step = params.pretrain.batch_size * gflop / 1000
    result["arithmetic"] = {"tflop_per_step": round(a_step, 1), "steps": steps, "hours_extrapolated": {}}
    print(f"arithmetic, measured: {gflop:.0f} GFLOP a sample, {a_step:.1f} TFLOP a step of preset ucf101")
    for tflops in TFLOPS:
        hours = steps * a_step / tflops / 3600
        result["arithmetic"]["hours_extrapolated"][tflops] = round(hours, 1)
        print(
            f"arithmetic, extrapolated: at {tflops} TFLOPS achieved {steps:,} steps take {hours:.1f} h and the loader "
            f"must give {1000 * tflops / gflop:.0f} samples/s"
        )
    print(json.dumps(result))


if __name__ == "__main__":
    run_stage(main)
