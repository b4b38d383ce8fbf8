"""What only a GPU shows: it computes what a CPU does, batches arrive whole, runs resume. See benchmarks/gpu.sh."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mofore.clips.dataset import EpochSampler, ForecastDataset
from mofore.clips.loader import load_batches
from mofore.config import Params
from mofore.errors import StoppedError
from mofore.experiments.doctor import compared_losses
from mofore.frames.store import FrameStore
from mofore.runtime.device import pick_device
from mofore.runtime.distributed import SINGLE
from mofore.training.checkpoint import Checkpoint
from mofore.training.monitor import Monitor
from mofore.training.pretrain import pretrain
from mofore.training.step import make_train_state, train_step

Packer = Callable[..., Path]
CPU, GPU = torch.device("cpu"), torch.device("cuda")
pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


@pytest.fixture
def videos(pack: Packer) -> FrameStore:
    return FrameStore(pack([20] * 9, texture=True))


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 0.002), ("auto", 0.05)])
@pytest.mark.parametrize("compiled", [False, True])
def test_losses_are_those_of_the_cpu(precision: str, tolerance: float, compiled: bool, tiny: Params) -> None:
    expected = compared_losses(tiny, CPU)
    tiny.runtime.device, tiny.runtime.precision, tiny.runtime.compile = "cuda", precision, compiled
    losses = compared_losses(tiny, pick_device(tiny.runtime))  # which sets TF32
    # Of the first steps alone: training amplifies differences of rounding, by step 20 up to half of the loss.
    assert losses[:3] == pytest.approx(expected[:3], rel=tolerance)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_batches_arrive_whole(workers: int, videos: FrameStore, tiny: Params) -> None:
    samples = ForecastDataset(videos, tiny.clip, tiny.forecast, tiny.augment, tiny.seed)
    keys = EpochSampler(len(videos), 4, epochs=20, seed=1)
    expected = [[field.clone() for field in batch] for batch in load_batches(samples, keys, 0, CPU)]
    for batch, wanted in zip(load_batches(samples, keys, workers, GPU), expected, strict=True):
        torch.cuda._sleep(1_000_000)  # the step takes longer than the next copies
        for field, value in zip(batch, wanted, strict=True):
            assert field.device.type == "cuda"
            assert torch.equal(field.cpu(), value)


@pytest.mark.parametrize("loss", ["infonce", "sigreg"])
def test_a_step_does_not_wait_for_the_gpu(loss: str, videos: FrameStore, tiny: Params) -> None:
    tiny.runtime.device, tiny.contrast.loss = "cuda", loss
    state = make_train_state(tiny, pick_device(tiny.runtime), SINGLE)
    samples = ForecastDataset(videos, tiny.clip, tiny.forecast, tiny.augment, tiny.seed)
    for number, batch in enumerate(load_batches(samples, EpochSampler(len(videos), 4, epochs=3, seed=1), 0, GPU)):
        if number:  # the first step chooses algorithms
            torch.cuda.set_sync_debug_mode("error")
        try:
            train_step(state, batch, tiny, momentum=0.99)
        finally:
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("loss", ["infonce", "sigreg"])
def test_a_stopped_run_goes_on_as_if_nothing_had_happened(
    loss: str, videos: FrameStore, tiny: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.runtime.device, tiny.contrast.loss = "cuda", loss
    whole = pretrain(tiny, videos, SINGLE, Checkpoint(tmp_path / "whole", 1e9)).log
    finite = Monitor.check_loss

    def stop(monitor: Monitor) -> None:  # called at the end of the first epoch
        finite(monitor)
        signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Monitor, "check_loss", stop)
        with pytest.raises(StoppedError):
            pretrain(tiny, videos, SINGLE, Checkpoint(tmp_path / "stopped", 1e9))
    resumed = pretrain(tiny, videos, SINGLE, Checkpoint(tmp_path / "stopped", 1e9)).log
    assert resumed["loss"].tolist() == pytest.approx(whole["loss"].tolist(), rel=0.01)
