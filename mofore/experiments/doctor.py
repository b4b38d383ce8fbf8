"""What this machine can do: facts, a trial of the training, what each preset would take, and a verdict.

    mofore doctor

The trial takes the parameters of params.yaml. It runs the same few steps on the device of `runtime.device` and, in
float32, on the CPU, from the same weights and with the same drawn clips, and compares the losses. It measures how many
clips a second the device trains on, and how many the loader delivers from data/frames, if there are any.

For each preset a step with few clips is run. Time and memory at its real batch size are extrapolated from that. On a
GPU the step at its real batch size is timed, if it fits: few clips keep a GPU waiting.

Shapes: B samples of a batch, F futures of each, T frames, H = W side of a clip, C = 3 colours.
"""

import mofore.runtime.openmp  # noqa: F401 # must come before anything that imports torch

# isort: split
import time
from contextlib import closing
from copy import deepcopy
from pathlib import Path

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from mofore.clips.augment import IDENTITY_34
from mofore.clips.dataset import EpochSampler, ForecastDataset, Sample
from mofore.clips.loader import load_batches
from mofore.clips.sampling import clip_offsets
from mofore.clips.transfer import to_device
from mofore.config import PARAMS_FILE, Params, load_params
from mofore.errors import UserError
from mofore.experiments.machine import describe_machine
from mofore.experiments.presets import list_presets, preset_params
from mofore.frames.store import FrameStore
from mofore.runtime.device import pick_device, uses_bf16
from mofore.runtime.distributed import SINGLE
from mofore.training.pretrain import epochs_of, leave_out_short, trained_part
from mofore.training.state import clips_per_step
from mofore.training.step import make_train_state, train_step
from mofore.utils.limits import usable_memory
from mofore.videos.synthetic.actions import ACTIONS

COMPARED, CONTEXTS = 5, 16  # steps whose losses are compared; contexts of each
STEPS, WARM_UP = 20, 3
TOLERANCE = {False: 0.01, True: 0.05}  # largest relative difference of the losses; by whether the device uses bf16
FEW = (2, 4)  # contexts of the two steps from which a preset is extrapolated, on a line
LOADER_SECONDS = 8.0
PEAK = 1.5  # of the memory of a step, in what it keeps for the backward pass; 1.3 to 1.45 in docs/presets.md
VIDEOS = {"ucf101": 9537, "hmdb51": 3570}  # training videos of split 1
CPU = torch.device("cpu")


def main() -> None:
    """Print facts, trial, presets and verdict.

    Raises:
        UserError: params.yaml is invalid, its device is missing, or the trial failed.
    """
    params = load_params()
    for name, fact in describe_machine(params.runtime).items():
        print(f"{name:10} {fact}")

    print()
    device = pick_device(params.runtime)
    losses = compared_losses(params, device)
    exact = deepcopy(params)
    exact.runtime.precision = "fp32"
    expected = compared_losses(exact, CPU)
    difference = max(abs(a - b) / abs(b) for a, b in zip(losses, expected, strict=True))
    tolerance = TOLERANCE[uses_bf16(params.runtime, device)]
    differ = f"differ from the CPU's in float32 by {difference:.2%} (at most {tolerance:.0%})"
    print(f"losses of {COMPARED} steps on {device} {differ}")
    trains = training_rate(params, device)
    print(f"training: {trains:,.0f} clips/s")
    loads = loader_rate(params, device)
    print(f"loader: {f'{loads:,.0f} clips/s' if loads else 'not measured: data/frames has no frames for a batch'}")

    print("\npreset          pretraining  memory of a step")
    for preset in list_presets():
        print(f"{preset:15} {describe_preset(preset, params, device)}")

    print()
    if not difference <= tolerance:
        raise UserError(
            f"{device}: losses differ from those of the CPU by {difference:.1%}, more than {tolerance:.0%}: do not "
            "trust it; set runtime.device to cpu in params.yaml, or update torch and the driver"
        )
    print(f"verdict: {verdict(device, trains, loads)}")


def verdict(device: torch.device, trains: float, loads: float) -> str:
    """One line: whether the device computes what the CPU computes, and what limits training."""
    right = f"{device} computes what it should"
    if not loads:
        return f"{right}; after `dvc repro extract_frames manifest` the loader can be measured, too"
    if loads < trains:
        return f"{right}, but waits for the loader {1 - loads / trains:.0%} of the time: give it more cores"
    return f"{right}, and the loader keeps up"


def compared_losses(params: Params, device: torch.device) -> list[float]:
    """The losses of COMPARED steps with at most CONTEXTS contexts, on drawn clips.

    They are few, because training amplifies differences of rounding, and because a CPU takes part.
    """
    params = trained_part(deepcopy(params))
    params.pretrain.batch_size = min(CONTEXTS, params.pretrain.batch_size)
    state = make_train_state(params, device, SINGLE)
    losses = []
    for step in range(COMPARED):
        batch = to_device(drawn_batch(params, params.pretrain.batch_size, step), device)
        losses.append(train_step(state, batch, params, momentum=0.9).scalars["loss"].item())
    return losses


def training_rate(params: Params, device: torch.device) -> float:
    """Clips a second of STEPS steps on one drawn batch; steps before them are not timed."""
    params = trained_part(params)
    state = make_train_state(params, device, SINGLE)
    batch = to_device(drawn_batch(params, params.pretrain.batch_size, 0), device)
    for _ in range(WARM_UP):
        train_step(state, batch, params, momentum=0.9).scalars["loss"].item()  # waits for the device
    began = time.perf_counter()
    for _ in range(STEPS):
        loss = train_step(state, batch, params, momentum=0.9).scalars["loss"]
    loss.item()
    return STEPS * clips_per_step(params) / (time.perf_counter() - began)


def drawn_batch(params: Params, size: int, seed: int) -> Sample:
    """Clips of smooth noise that moves, the same for the same seed; as the loader delivers them."""
    generator = torch.Generator().manual_seed(seed)
    side, frames, futures = params.clip.size, len(clip_offsets(params.clip)), params.forecast.futures
    coarse = torch.rand(size * (1 + futures), 3, frames, 7, 7, generator=generator)
    fine = torch.nn.functional.interpolate(coarse, (frames, side, side), mode="trilinear")
    clips_NTHWC = (fine * 255).byte().permute(0, 2, 3, 4, 1)
    context_BTHWC, future_BFTHWC = clips_NTHWC[:size], clips_NTHWC[size:].unflatten(0, (size, futures))
    same_34 = torch.from_numpy(IDENTITY_34)
    gap_BF = torch.randint(params.forecast.gap_min, params.forecast.gap_max + 1, (size, futures), generator=generator)
    colours = same_34.expand(size, 3, 4), same_34.expand(size, futures, 3, 4)
    return Sample(context_BTHWC, future_BFTHWC, *colours, gap_BF, torch.arange(size))


def loader_rate(params: Params, device: torch.device) -> float:
    """Clips a second from data/frames, without training; 0 if there are no frames, or too few videos for a batch."""
    params = trained_part(params)
    try:
        videos = FrameStore(Path("data/frames"), "train")
        leave_out_short(videos, params)
    except UserError:
        return 0.0
    size = params.pretrain.batch_size
    if len(videos) < size:
        return 0.0
    samples = ForecastDataset(videos, params.clip, params.forecast, params.augment, params.seed)
    batches = EpochSampler(len(videos), size, 1000, params.seed)
    count = 0
    with closing(load_batches(samples, batches, params.runtime.workers, device)) as loaded:
        next(loaded)
        began = time.perf_counter()
        while (now := time.perf_counter()) - began < LOADER_SECONDS and next(loaded, None) is not None:
            count += clips_per_step(params)
    return count / (now - began)


def describe_preset(name: str, params: Params, device: torch.device) -> str:
    """Time of pretraining and memory of a step, extrapolated from steps with few clips."""
    preset = preset_params(name, [], Path(PARAMS_FILE))
    preset.runtime = params.runtime
    preset = trained_part(preset)
    size = preset.pretrain.batch_size
    demo = len(ACTIONS) * preset.demo.groups * preset.demo.clips * 3 // 4
    videos = VIDEOS.get("hmdb51" if name == "hmdb51" else preset.data.source, demo)
    steps = epochs_of(preset.pretrain, videos) * (videos // size)

    few, more = (measure_step(preset, device, size) for size in FEW)
    each = (size - FEW[0]) / (FEW[1] - FEW[0])
    seconds, kept = (a + max(0.0, b - a) * each for a, b in zip(few, more, strict=True))
    if device.type == "cuda":
        try:
            seconds, _ = measure_step(preset, device, size)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
    needed = PEAK * kept
    room = torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else usable_memory()
    too_much = ": TOO MUCH" if needed > room else ""
    return f"{_duration(seconds * steps):11}  {needed / 1e9:.1f} GB of {room / 1e9:.0f}{too_much}"


def measure_step(params: Params, device: torch.device, size: int) -> tuple[float, float]:
    """Seconds of a step with `size` contexts, and the bytes that it keeps for the backward pass.

    The step that is timed is the second. Bytes are counted, not asked of the device, so that they are known on a CPU,
    too. Workspaces of the device come on top.
    """
    state = make_train_state(params, device, SINGLE)
    batch = to_device(drawn_batch(params, size, 0), device)
    kept: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with saved_tensors_hooks(count, lambda tensor: tensor):
        train_step(state, batch, params, momentum=0.9).scalars["loss"].item()
    began = time.perf_counter()
    train_step(state, batch, params, momentum=0.9).scalars["loss"].item()
    return time.perf_counter() - began, float(sum(kept.values()))


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"
