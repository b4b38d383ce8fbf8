"""A run that diverges, collapses or is stopped reports its step and what to do."""

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


@pytest.fixture(autouse=True)
def every_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save as often as asked for, however long that takes."""
    monkeypatch.setattr("mofore.training.checkpoint.MAX_SHARE", float("inf"))


@pytest.fixture
def tiny(tiny: Params) -> Params:
    tiny.pretrain.knn_every = 0
    return tiny


@pytest.fixture
def videos(pack: Packer) -> FrameStore:
    return FrameStore(pack([20] * 9, texture=True))


def change_step(number: int, how: Callable[[TrainState, StepLog], StepLog], monkeypatch: pytest.MonkeyPatch) -> None:
    """Apply `how` to the state and result of one step of a run."""
    done = 0

    def changed(state: TrainState, *args: Any) -> StepLog:
        nonlocal done
        step_log = train_step(state, *args)
        done += 1
        return how(state, step_log) if done == number else step_log

    monkeypatch.setattr("mofore.training.pretrain.train_step", changed)


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
def test_a_loss_that_is_not_finite_ends_the_run(
    step: int, every: float | None, tiny: Params, videos: FrameStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_step(step, nan_loss, monkeypatch)
    with pytest.raises(UserError) as caught:
        pretrain(tiny, videos, SINGLE, None if every is None else Checkpoint(tmp_path, every))
    if every is None:
        checkpoint_state = "checkpoints are off"
    else:
        checkpoint_state = (
            f"the last checkpoint is from step {step - 1}" if every == 0 and step > 1 else "there is no checkpoint yet"
        )
    assert str(caught.value) == (
        f"pretrain: the loss is nan after step {step} of {STEPS}: likely pretrain.lr 0.001 is too high, or "
        f"pretrain.warmup 0.05 too short; {checkpoint_state}"
    )
    saved = Checkpoint(tmp_path, 0).load(CPU)
    assert (saved or {"step": 0})["step"] == (step - 1 if every == 0 else 0)


def test_a_loss_that_is_not_finite_is_reported_before_the_diagnostics(
    tiny: Params, videos: FrameStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mofore.training.pretrain.HEALTH_EVERY_STEPS", 3)
    change_step(3, nan_everywhere, monkeypatch)
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
def test_weights_that_are_not_finite_are_never_saved(
    every: float, tiny: Params, videos: FrameStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = 3 if every == 0 else STEPS  # the end of a run is saved regardless of the interval
    change_step(step, infinite_weight, monkeypatch)
    what = "the loss is nan after step 4" if every == 0 else f"weights are not finite after step {STEPS}"
    with pytest.raises(UserError, match=f"^pretrain: {what} of {STEPS}: likely "):
        pretrain(tiny, videos, SINGLE, Checkpoint(tmp_path, every))
    saved = Checkpoint(tmp_path, 0).load(CPU)
    assert (saved or {"step": 0})["step"] == (2 if every == 0 else 0)
    assert saved is None or all(bool(x.isfinite().all()) for x in saved["model"].values())


def monitor_of(target_NP: torch.Tensor, params: Params) -> Monitor:
    """A monitor of a run whose steps had these targets."""
    run = TrainingRun(params, CPU, SINGLE)
    monitor = Monitor(run, 200, None)
    for target_BP in target_NP.split(params.pretrain.batch_size):
        run.log.add(StepLog({"loss": torch.tensor(1.25)}, target_BP, target_BP))
        run.step += 1
    return monitor


def test_a_collapse_is_reported_once_with_what_to_change(tiny: Params, capsys: Err) -> None:
    monitor = monitor_of(torch.ones(MIN_SAMPLES, 8), tiny)
    monitor.progress_line()
    monitor.progress_line()
    assert capsys.readouterr().err == (
        "warning: pretrain: the embeddings have collapsed after step 16 of 200 (effective rank 1.0 is below 5): "
        "raise contrast.weight or decorrelation.weight, or lower pretrain.lr\n"
    )


def test_a_collapse_to_one_direction_with_noise_is_reported(tiny: Params, capsys: Err) -> None:
    noise = torch.randn(MIN_SAMPLES, 128, generator=torch.Generator().manual_seed(0))
    monitor_of(torch.ones(128) + 0.1 * noise, tiny).progress_line()
    assert "spread 0.1" in capsys.readouterr().err


def test_few_or_healthy_embeddings_are_not_reported(tiny: Params, capsys: Err) -> None:
    monitor_of(torch.ones(MIN_SAMPLES - 4, 8), tiny).progress_line()
    monitor_of(torch.randn(MIN_SAMPLES, 128, generator=torch.Generator().manual_seed(0)), tiny).progress_line()
    assert capsys.readouterr().err == ""


def test_progress_line_has_loss_health_and_speed(tiny: Params) -> None:
    monitor = monitor_of(torch.eye(8).repeat(11, 1)[:44], tiny)
    run = monitor.run
    run.seconds, run.waited = 2.0, 0.5  # for 10 of the 11 steps: the last is not finished
    shown = monitor.progress_line()
    assert shown == {"loss": "1.250", "rank": "8.0", "spread": "0.93", "clips/s": "40", "data wait": "25.0%"}


def test_speed_is_measured_since_the_resume(tiny: Params) -> None:
    run = monitor_of(torch.eye(8), tiny).run
    run.step, run.seconds = 1000, 1.0
    monitor = Monitor(run, 2000, None)
    run.step, run.seconds = 1011, 11.0
    assert monitor.progress_line()["clips/s"] == "8"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_saves_and_stops(
    number: signal.Signals, tiny: Params, videos: FrameStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_: TrainState, step: StepLog) -> StepLog:
        signal.raise_signal(number)
        return step

    change_step(3, stop, monkeypatch)
    with pytest.raises(StoppedError) as caught:
        pretrain(tiny, videos, SINGLE, Checkpoint(tmp_path, 1e9))
    assert caught.value.status == 128 + number
    assert str(caught.value) == (
        f"pretrain: stopped by {number.name} after step 3 of {STEPS}: saved, run the same command to resume"
    )
    assert (Checkpoint(tmp_path, 0).load(CPU) or {})["step"] == 3


def stopped(params: Params, saved: Checkpoint | None, batches: Iterator[Sample]) -> str:
    """The message of a run that receives SIGTERM after step 16."""
    monitor = monitor_of(torch.ones(64, 8), params)
    monitor.checkpoint = saved
    signals = StopSignals()
    signals.received = signal.SIGTERM
    with pytest.raises(StoppedError) as caught:
        list(monitor.until_stopped(batches, signals))
    assert caught.value.status == 143
    return str(caught.value)


def test_a_stopped_run_reports_that_it_was_not_saved(tiny: Params, tmp_path: Path, capsys: Err) -> None:
    batches = iter([Sample(*torch.zeros(6, 1))])
    message = "pretrain: stopped by SIGTERM after step 16 of 200: not saved, "
    assert stopped(tiny, None, batches) == message + "checkpoints are off"
    if Path("/dev/full").exists():
        (tmp_path / "last.part").symlink_to("/dev/full")
        batches = iter([Sample(*torch.zeros(6, 1))])
        assert stopped(tiny, Checkpoint(tmp_path, 1e9), batches) == message + "there is no checkpoint yet"
        assert "no space left" in capsys.readouterr().err
