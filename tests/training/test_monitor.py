"""A run that goes wrong, or is asked to stop, says where it stands and what to do."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from mofore.clips.dataset import Sample
from mofore.config import Params
from mofore.errors import StoppedError, UserError
from mofore.frames.store import FrameStore
from mofore.runtime.distributed import SINGLE
from mofore.runtime.signals import StopSignals
from mofore.training.checkpoint import Checkpoint
from mofore.training.log import StepLog
from mofore.training.monitor import MIN_SAMPLES, Monitor
from mofore.training.pretrain import pretrain
from mofore.training.state import TrainingRun
from mofore.training.step import TrainState, train_step

STEPS = 6
CPU = torch.device("cpu")
Packer = Callable[..., Path]
Err = pytest.CaptureFixture[str]


@pytest.fixture
def tiny(tiny: Params) -> Params:
    tiny.pretrain.knn_every = 0
    return tiny


@pytest.fixture
def videos(pack: Packer) -> FrameStore:
    return FrameStore(pack([20] * 9, texture=True))


def spoil(number: int, how: Callable[[TrainState, StepLog], StepLog], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a step of a run go wrong."""
    done = 0

    def spoilt(state: TrainState, *args: Any) -> StepLog:
        nonlocal done
        left = train_step(state, *args)
        done += 1
        return how(state, left) if done == number else left

    monkeypatch.setattr("mofore.training.pretrain.train_step", spoilt)


def nan_loss(_: TrainState, step: StepLog) -> StepLog:
    return step._replace(scalars=step.scalars | {"loss": torch.tensor(float("nan"))})


def nan_everywhere(_: TrainState, step: StepLog) -> StepLog:
    scalars = {name: value * float("nan") for name, value in step.scalars.items()}
    return StepLog(scalars, step.forecast_NP * float("nan"), step.target_NP * float("nan"))


def infinite_weight(state: TrainState, step: StepLog) -> StepLog:
    with torch.no_grad():
        next(state.model.predictor.parameters()).view(-1)[3] = float("inf")
    return step


@pytest.mark.slow
@pytest.mark.parametrize("step", [1, 3, 4, STEPS])
@pytest.mark.parametrize("every", [0.0, 1e9, None])
def test_a_loss_that_is_no_number_ends_the_run(
    step: int, every: float | None, tiny: Params, videos: FrameStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(step, nan_loss, monkeypatch)
    with pytest.raises(UserError) as caught:
        pretrain(tiny, videos, SINGLE, None if every is None else Checkpoint(tmp_path, every))
    if every is None:
        left = "no checkpoints were asked for"
    else:
        left = f"the last checkpoint is of step {step - 1}" if every == 0 and step > 1 else "there is no checkpoint yet"
    assert str(caught.value) == (
        f"pretrain: the loss is nan after step {step} of {STEPS}: likely pretrain.lr 0.001 is too high, or "
        f"pretrain.warmup 0.05 too short; {left}"
    )
    saved = Checkpoint(tmp_path, 0).load(CPU)
    assert (saved or {"step": 0})["step"] == (step - 1 if every == 0 else 0)


def test_a_loss_that_is_no_number_is_told_when_health_is_looked_at(
    tiny: Params, videos: FrameStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mofore.training.pretrain.HEALTH_EVERY_STEPS", 3)
    spoil(3, nan_everywhere, monkeypatch)
    with pytest.raises(UserError, match="the loss is nan after step 3 of 6"):
        pretrain(tiny, videos)


def test_all_likely_causes_are_named(tiny: Params) -> None:
    tiny.contrast.temperature, tiny.runtime.precision = 0.01, "bf16"
    run = TrainingRun(tiny, CPU, SINGLE)
    run.log.add(
        nan_everywhere(run.train_state, StepLog({"loss": torch.zeros(())}, torch.zeros(4, 8), torch.zeros(4, 8)))
    )
    with pytest.raises(
        UserError, match=r"contrast.temperature 0.01 too low, or bf16 too coarse \(try runtime.precision fp32\);"
    ):
        Monitor(run, STEPS, None).check_loss()


@pytest.mark.parametrize("every", [0.0, 1e9])
def test_weights_that_are_no_numbers_are_never_saved(
    every: float, tiny: Params, videos: FrameStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = 3 if every == 0 else STEPS  # at the end all is saved, whatever the interval
    spoil(step, infinite_weight, monkeypatch)
    what = "the loss is nan after step 4" if every == 0 else f"weights are not finite after step {STEPS}"
    with pytest.raises(UserError, match=f"^pretrain: {what} of {STEPS}: likely "):
        pretrain(tiny, videos, SINGLE, Checkpoint(tmp_path, every))
    saved = Checkpoint(tmp_path, 0).load(CPU)
    assert (saved or {"step": 0})["step"] == (2 if every == 0 else 0)
    assert saved is None or all(bool(x.isfinite().all()) for x in saved["model"].values())


def watch_embeddings(target_NP: torch.Tensor, params: Params) -> Monitor:
    """A watch over a run that has left these embeddings."""
    run = TrainingRun(params, CPU, SINGLE)
    watch = Monitor(run, 200, None)
    for target_BP in target_NP.split(params.pretrain.batch_size):
        run.log.add(StepLog({"loss": torch.tensor(1.25)}, target_BP, target_BP))
        run.step += 1
    return watch


def test_a_collapse_is_told_once_with_what_to_change(tiny: Params, capsys: Err) -> None:
    watch = watch_embeddings(torch.ones(MIN_SAMPLES, 8), tiny)
    watch.progress_line()
    watch.progress_line()
    assert capsys.readouterr().err == (
        "warning: pretrain: the embeddings collapse, effective rank 1.0 is below 5, after step 16 of 200: raise "
        "contrast.weight or decorrelation.weight, or lower pretrain.lr\n"
    )


def test_a_collapse_to_one_direction_and_noise_is_told(tiny: Params, capsys: Err) -> None:
    noise = torch.randn(MIN_SAMPLES, 128, generator=torch.Generator().manual_seed(0))
    watch_embeddings(torch.ones(128) + 0.1 * noise, tiny).progress_line()
    assert "spread 0.1" in capsys.readouterr().err


def test_few_embeddings_or_healthy_ones_are_no_collapse(tiny: Params, capsys: Err) -> None:
    watch_embeddings(torch.ones(MIN_SAMPLES - 4, 8), tiny).progress_line()
    watch_embeddings(torch.randn(MIN_SAMPLES, 128, generator=torch.Generator().manual_seed(0)), tiny).progress_line()
    assert capsys.readouterr().err == ""


def test_progress_line_has_loss_health_and_speed(tiny: Params) -> None:
    watch = watch_embeddings(torch.eye(8).repeat(11, 1)[:44], tiny)
    run = watch.run
    run.seconds, run.waited = 2.0, 0.5  # for 10 steps: the last is still under way
    shown = watch.progress_line()
    assert shown == {"loss": "1.250", "rank": "8.0", "spread": "0.93", "clips/s": "40", "data wait": "25.0%"}


def test_speed_is_that_since_the_run_goes_on(tiny: Params) -> None:
    run = watch_embeddings(torch.eye(8), tiny).run
    run.step, run.seconds = 1000, 1.0
    watch = Monitor(run, 2000, None)
    run.step, run.seconds = 1011, 11.0
    assert watch.progress_line()["clips/s"] == "8"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_saves_and_stops(
    number: signal.Signals, tiny: Params, videos: FrameStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_: TrainState, step: StepLog) -> StepLog:
        signal.raise_signal(number)
        return step

    spoil(3, stop, monkeypatch)
    with pytest.raises(StoppedError) as caught:
        pretrain(tiny, videos, SINGLE, Checkpoint(tmp_path, 1e9))
    assert caught.value.status == 128 + number
    assert str(caught.value) == (
        f"pretrain: stopped by {number.name} after step 3 of {STEPS}: saved, run the same command to resume"
    )
    assert (Checkpoint(tmp_path, 0).load(CPU) or {})["step"] == 3


def stopped(params: Params, saved: Checkpoint | None, batches: Iterator[Sample]) -> str:
    """What is said when a signal has come after step 16."""
    watch = watch_embeddings(torch.ones(64, 8), params)
    watch.checkpoint = saved
    signals = StopSignals()
    signals.received = signal.SIGTERM
    with pytest.raises(StoppedError) as caught:
        list(watch.until_stopped(batches, signals))
    assert caught.value.status == 143
    return str(caught.value)


def test_what_could_not_be_saved_is_told(tiny: Params, tmp_path: Path, capsys: Err) -> None:
    batches = iter([Sample(*torch.zeros(6, 1))])
    said = "pretrain: stopped by SIGTERM after step 16 of 200: not saved, "
    assert stopped(tiny, None, batches) == said + "no checkpoints were asked for"
    if Path("/dev/full").exists():
        (tmp_path / "last.part").symlink_to("/dev/full")
        batches = iter([Sample(*torch.zeros(6, 1))])
        assert stopped(tiny, Checkpoint(tmp_path, 1e9), batches) == said + "there is no checkpoint yet"
        assert "no space left" in capsys.readouterr().err


def broken_loader() -> Iterator[Sample]:
    yield from ()
    raise RuntimeError("DataLoader worker (pid 1) is killed by signal: Terminated")


def test_loaders_that_the_same_signal_ended_are_no_error(tiny: Params, tmp_path: Path) -> None:
    assert "step 16 of 200: saved" in stopped(tiny, Checkpoint(tmp_path, 1e9), broken_loader())
    with pytest.raises(RuntimeError, match="is killed by signal"):
        list(watch_embeddings(torch.ones(4, 8), tiny).until_stopped(broken_loader(), StopSignals()))
