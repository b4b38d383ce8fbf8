"""A resumed run gives the same results as an uninterrupted one, bit for bit."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mofore.clips.dataset import Sample
from mofore.config import Params
from mofore.errors import StoppedError
from mofore.frames.store import FrameStore
from mofore.runtime.distributed import SINGLE
from mofore.training.checkpoint import Checkpoint
from mofore.training.log import StepLog
from mofore.training.pretrain import Pretrained, pretrain
from mofore.training.state import TrainingRun
from mofore.training.step import train_step

STEPS, STEPS_PER_EPOCH = 6, 2
NEVER = 1e9  # seconds between two checkpoints
CPU = torch.device("cpu")
Packer = Callable[..., Path]


@pytest.fixture(autouse=True)
def every_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save as often as asked for, however long that takes."""
    monkeypatch.setattr("mofore.training.checkpoint.MAX_SHARE", float("inf"))


@pytest.fixture
def videos(pack: Packer) -> FrameStore:
    return FrameStore(pack([20] * 9, texture=True))


def after_step(number: int, do: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Call `do` at the end of step `number` of a run."""
    done = 0

    def counted(*args: Any) -> StepLog:
        nonlocal done
        step_log = train_step(*args)
        done += 1
        if done == number:
            do()
        return step_log

    monkeypatch.setattr("mofore.training.pretrain.train_step", counted)


def last_state(folder: Path) -> dict[str, Any]:
    """The last saved state, without the measured times."""
    state = Checkpoint(folder, 0).load(CPU)
    assert state
    return {key: value for key, value in state.items() if key not in ("seconds", "waited")}


def assert_same(a: object, b: object) -> None:
    torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)


def assert_same_end(uninterrupted: Pretrained, resumed: Pretrained, folder: Path) -> None:
    assert resumed.log.equals(uninterrupted.log)
    assert len(resumed.log) == STEPS / STEPS_PER_EPOCH
    assert_same(dict(resumed.model.state_dict()), dict(uninterrupted.model.state_dict()))
    expected, found = last_state(folder / "uninterrupted"), last_state(folder / "run")
    assert set(found) == {"model", "optimizer", "memory_bank", "log", "rows", "step", "random"}
    assert_same(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("k", range(1, STEPS))
def test_a_stopped_run_resumes_bit_for_bit(
    k: int, tiny: Params, videos: FrameStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.contrast.queue_size = 10
    uninterrupted = pretrain(tiny, videos, SINGLE, Checkpoint(tmp_path / "uninterrupted", NEVER))

    with monkeypatch.context() as patch:
        after_step(k, lambda: signal.raise_signal(signal.SIGTERM), patch)
        with pytest.raises(StoppedError, match=f"after step {k} of {STEPS}: saved"):
            pretrain(tiny, videos, SINGLE, Checkpoint(tmp_path / "run", NEVER))
    torch.manual_seed(99)
    resumed = pretrain(tiny, videos, SINGLE, Checkpoint(tmp_path / "run", NEVER))
    assert_same_end(uninterrupted, resumed, tmp_path)


@pytest.mark.slow
def test_a_crashed_run_resumes_from_its_last_checkpoint(
    tiny: Params, videos: FrameStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uninterrupted = pretrain(tiny, videos, SINGLE, Checkpoint(tmp_path / "uninterrupted", NEVER))

    def crash() -> None:
        raise MemoryError

    for done in (4, 1):  # crashes in step 4, after the checkpoint of step 3, and again in the resumed run
        with monkeypatch.context() as patch:
            after_step(done, crash, patch)
            with pytest.raises(MemoryError):
                pretrain(tiny, videos, SINGLE, Checkpoint(tmp_path / "run", 0))
        assert last_state(tmp_path / "run")["step"] == 3
    resumed = pretrain(tiny, videos, SINGLE, Checkpoint(tmp_path / "run", 0))
    assert_same_end(uninterrupted, resumed, tmp_path)


def test_a_finished_run_has_no_steps_left(
    tiny: Params, videos: FrameStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = pretrain(tiny, videos, SINGLE, Checkpoint(tmp_path, NEVER))
    monkeypatch.setattr("mofore.training.pretrain.train_step", None)
    again = pretrain(tiny, videos, SINGLE, Checkpoint(tmp_path, NEVER))
    assert again.log.equals(first.log)
    assert_same(dict(again.model.state_dict()), dict(first.model.state_dict()))


def test_a_finished_run_of_one_step_has_no_steps_left(tiny: Params, videos: FrameStore, tmp_path: Path) -> None:
    tiny.pretrain.batch_size, tiny.pretrain.epochs = 9, 1
    first = pretrain(tiny, videos, SINGLE, Checkpoint(tmp_path, NEVER))
    assert pretrain(tiny, videos, SINGLE, Checkpoint(tmp_path, NEVER)).log.equals(first.log)


def test_a_signal_in_the_last_step_does_not_stop_the_run(
    tiny: Params, videos: FrameStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    after_step(STEPS, lambda: signal.raise_signal(signal.SIGTERM), monkeypatch)
    assert pretrain(tiny, videos).log.epoch.tolist() == [1, 2, 3]


def test_a_full_disk_does_not_end_or_change_a_run(
    tiny: Params, videos: FrameStore, tiny_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uninterrupted = pretrain(tiny, videos)
    found = pretrain(tiny, videos, SINGLE, Checkpoint(tiny_disk, 0))
    assert "no space left on the device writing" in capsys.readouterr().err
    assert not list(tiny_disk.iterdir())
    assert found.log.equals(uninterrupted.log)
    assert_same(dict(found.model.state_dict()), dict(uninterrupted.model.state_dict()))


def test_resuming_is_reported(
    tiny: Params, videos: FrameStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pretrain(tiny, videos, SINGLE, Checkpoint(tmp_path, NEVER))
    assert capsys.readouterr().err == ""
    pretrain(tiny, videos, SINGLE, Checkpoint(tmp_path, NEVER))
    assert capsys.readouterr().err == f"pretrain: resumed from step {STEPS}\n"


def test_the_random_state_is_restored(tiny: Params) -> None:
    run = TrainingRun(tiny, CPU, SINGLE)
    torch.randn(5)
    state = run.state()
    expected = torch.randn(5)
    again = TrainingRun(tiny, CPU, SINGLE)
    again.restore(state)
    assert torch.equal(torch.randn(5), expected)


def test_times_are_summed_over_all_parts_of_a_run(tiny: Params) -> None:
    batch = Sample(*torch.zeros(6, 1))
    run = TrainingRun(tiny, CPU, SINGLE)
    run.seconds, run.waited = 100.0, 10.0
    again = TrainingRun(tiny, CPU, SINGLE)
    again.restore(run.state())
    now = iter([0.0, 1.0, 5.0, 5.0, 7.0])  # waits 1 s, works 4 s, waits 2 s for the end of the iterator
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mofore.training.state.time.perf_counter", lambda: next(now))
        assert len(list(again.timed(iter([batch])))) == 1
    assert (again.seconds, again.waited) == (105.0, 13.0)
