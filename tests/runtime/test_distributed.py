"""Several processes train like one process with the same batches."""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mofore.clips.dataset import Sample
from mofore.config import Params
from mofore.errors import StoppedError, UserError
from mofore.frames.store import FrameStore
from mofore.runtime.distributed import SINGLE, Processes, init_distributed, launch
from mofore.training.checkpoint import Checkpoint
from mofore.training.log import StepLog
from mofore.training.pretrain import pretrain
from mofore.training.step import make_train_state, train_step
from tests.helpers.launched import run_distributed

ROWS = 6  # of a batch
CPU = torch.device("cpu")
Packer = Callable[..., Path]


def batch(seed: int) -> Sample:
    """A batch with two futures per context. With two or three processes, some groups are split over processes."""
    generator = torch.Generator().manual_seed(seed)
    frames = torch.randint(0, 256, (ROWS, 3, 5, 16, 16, 3), dtype=torch.uint8, generator=generator)
    colour = torch.eye(3, 4).expand(ROWS, 2, 3, 4)
    gap = torch.randint(0, 50, (ROWS, 2), generator=generator)
    return Sample(frames[:, 0], frames[:, 1:], colour[:, 0], colour, gap, torch.tensor([0, 0, 1, 2, 1, 3]))


def three_steps(processes: Processes, params: Params) -> list[Any]:
    """Scalars, embeddings and gradients of each step, and the networks at the end."""
    state, seen = make_train_state(params, CPU, processes), []
    own_rows = processes.shard(list(range(ROWS)))
    for seed in range(3):
        step = train_step(state, Sample(*(field[own_rows] for field in batch(seed))), params, momentum=0.5)
        seen += [*step, {name: p.grad.clone() for name, p in state.model.named_parameters() if p.grad is not None}]
    return [*seen, dict(state.model.state_dict())]


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 3])
def test_steps_are_those_of_one_process_with_the_same_batch(count: int, tiny: Params, tmp_path: Path) -> None:
    tiny.pretrain.lr = 1e-4  # AdamW amplifies rounding errors of small gradients from the second step on
    assert tiny.contrast.time_reversed_negatives
    assert min(tiny.forecast.weight, tiny.contrast.weight, tiny.decorrelation.weight) > 0
    expected = three_steps(SINGLE, tiny)
    first, rest = len(StepLog._fields), len(StepLog._fields) + 1
    largest = max(
        float(gradient.abs().max()) for gradient in expected[first].values()
    )  # the scale of rounding errors in float32
    for found in run_distributed(count, tmp_path / "many", three_steps, tiny):
        torch.testing.assert_close(found[:first], expected[:first], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(found[first], expected[first], rtol=1e-5, atol=1e-5 * largest)
        for one, wanted in zip(found[rest:], expected[rest:], strict=True):
            torch.testing.assert_close(one, wanted, rtol=1e-2, atol=2e-4 * largest)


def communicate(processes: Processes) -> dict[str, Any]:
    rank, own = processes.rank, torch.full((2, 3), float(processes.rank), requires_grad=True)
    gathered = processes.gather(own)
    (torch.arange(len(gathered))[:, None] * gathered).sum().backward()
    results = {
        "gathered": gathered.detach(),
        "gradient": own.grad,
        "numbers": processes.gather(torch.tensor([10 * rank, 10 * rank + 1])),
        "any": [processes.any(False), processes.any(rank == 1), processes.any(True)],
        "collected": processes.collect({"rank": rank}),
        "processes": processes,
    }
    return results


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 3])
def test_results_are_in_the_order_of_ranks(count: int, tmp_path: Path) -> None:
    for rank, results in enumerate(run_distributed(count, tmp_path / "many", communicate)):
        assert results["gathered"].tolist() == [[float(row // 2)] * 3 for row in range(2 * count)]
        assert results["gradient"].tolist() == [[2.0 * rank] * 3, [2.0 * rank + 1] * 3]
        assert results["numbers"].tolist() == [10 * (row // 2) + row % 2 for row in range(2 * count)]
        assert results["any"] == [False, True, True]
        assert results["collected"] == ([{"rank": other} for other in range(count)] if rank == 0 else [])
        assert results["processes"] == Processes(rank, count, rank, count)
        assert results["processes"].is_main == (rank == 0)


def write_slowly(processes: Processes, file: Path) -> None:
    if processes.is_main:
        time.sleep(2)
        file.touch()


def test_processes_end_when_the_first_has_written_all(tmp_path: Path) -> None:
    """A launcher takes a node whose processes have ended for done, and DVC then reads what the first one writes."""
    run_distributed(2, tmp_path / "many", write_slowly, tmp_path / "output")
    written = (tmp_path / "output").stat().st_mtime_ns
    assert all((tmp_path / "many" / f"{rank}.ended").stat().st_mtime_ns >= written for rank in range(2))


def resume_from(processes: Processes, params: Params, frames: Path, folders: list[Path]) -> str:
    try:
        pretrain(params, FrameStore(frames), processes, Checkpoint(folders[processes.rank], 1e9))
    except UserError as error:
        return str(error)
    return "resumed"


@pytest.mark.slow
def test_processes_with_different_checkpoints_do_not_train(pack: Packer, tiny: Params, tmp_path: Path) -> None:
    frames = pack([20] * 9, texture=True)
    run_distributed(2, tmp_path / "stopped", pretrain_until, tiny, frames, tmp_path / "saved", (0, 3))
    folders = [tmp_path / "saved", tmp_path / "none"]
    for error in run_distributed(2, tmp_path / "resumed", resume_from, tiny, frames, folders):
        assert error.startswith("pretrain: the processes have different checkpoints: give all nodes the same folder")


def test_a_single_process_of_a_launcher_uses_all_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.setattr("mofore.runtime.distributed.worker_count", lambda _: 2)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)  # as OMP_NUM_THREADS=1 does
        with init_distributed() as processes:
            assert processes == SINGLE
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_launcher_without_local_ranks_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    with pytest.raises(UserError, match=r"^the environment has WORLD_SIZE=4, but no LOCAL_RANK: "), init_distributed():
        pass


def test_a_process_notices_that_its_launcher_has_ended() -> None:
    assert not Processes(0, 2).launcher_gone
    assert Processes(0, 2, launcher=os.getpid()).launcher_gone
    assert not Processes(launcher=os.getpid()).launcher_gone, "a single process has no launcher"


def test_a_single_process_needs_no_communication(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    rows = torch.arange(3)
    with init_distributed() as processes:
        assert processes == SINGLE
        assert processes.gather(rows) is rows
        assert (processes.any(True), processes.any(False)) == (True, False)
        assert processes.collect("x") == ["x"]


def test_shards_are_in_the_order_of_ranks() -> None:
    rows = list("abcdef")
    assert [Processes(rank, 3).shard(rows) for rank in range(3)] == [["a", "b"], ["c", "d"], ["e", "f"]]
    assert SINGLE.shard(rows) == rows


def test_a_batch_size_that_is_no_multiple_of_the_processes_is_an_error(pack: Packer, tiny: Params) -> None:
    with pytest.raises(
        UserError,
        match=r"^params.yaml: pretrain.batch_size is 4, but must be a multiple of the 3 processes that share it$",
    ):
        pretrain(tiny, FrameStore(pack([20] * 5)), Processes(rank=1, count=3))


def pretrain_until(
    processes: Processes, params: Params, frames: Path, saved: Path, stop: tuple[int, int] | None = None
) -> tuple[int, str] | None:
    """Pretrain; rank `stop[0]` gets SIGTERM after step `stop[1]`. Returns exit status and message if it was stopped."""
    done = 0

    def counted(*args: Any) -> StepLog:
        nonlocal done
        step_log = train_step(*args)
        done += 1
        if (processes.rank, done) == stop:
            signal.raise_signal(signal.SIGTERM)
        return step_log

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mofore.training.pretrain.train_step", counted)
        try:
            pretrain(params, FrameStore(frames), processes, Checkpoint(saved, 1e9))
        except StoppedError as stopped:
            return stopped.status, str(stopped)
    return None


def last_state(folder: Path) -> dict[str, Any]:
    """The last saved state, without the measured times."""
    state = Checkpoint(folder, 0).load(CPU)
    assert state
    return {key: value for key, value in state.items() if key not in ("seconds", "waited")}


@pytest.mark.slow
@pytest.mark.parametrize(("rank", "loss"), [(0, "infonce"), (1, "infonce"), (1, "sigreg")])
def test_a_signal_to_one_process_stops_all_and_they_resume_bit_for_bit(
    rank: int, loss: str, pack: Packer, tiny: Params, tmp_path: Path
) -> None:
    tiny.contrast.loss = loss  # the directions of sigreg are drawn anew in each step, by each process
    frames = pack([20] * 9, texture=True)
    end = run_distributed(2, tmp_path / "undisturbed", pretrain_until, tiny, frames, tmp_path / "expected")
    assert end == [None, None]

    end = run_distributed(2, tmp_path / "stopped", pretrain_until, tiny, frames, tmp_path / "found", (rank, 3))
    message = "pretrain: stopped by SIGTERM after step 3 of 6: saved, run the same command to resume"
    assert end == [(143, message), (143, "")]
    assert last_state(tmp_path / "found")["step"] == 3
    end = run_distributed(2, tmp_path / "resumed", pretrain_until, tiny, frames, tmp_path / "found")
    assert end == [None, None]
    torch.testing.assert_close(last_state(tmp_path / "found"), last_state(tmp_path / "expected"), rtol=0, atol=0)


@pytest.fixture
def not_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # `launch` would set it
    monkeypatch.setattr(sys, "argv", ["stages/pretrain.py", "a b"])


@pytest.mark.usefixtures("not_launched")
@pytest.mark.parametrize(
    "launcher",
    [
        "no-such-launcher -n 2",
        "",
        "$NO_SUCH_LAUNCHER",
        "'torchrun",
    ],
)
def test_a_missing_launcher_is_an_error(launcher: str) -> None:
    with pytest.raises(UserError) as caught:
        launch(launcher)
    assert str(caught.value) == (
        f"params.yaml: runtime.launcher '{launcher}' cannot be started: use none, or a command like "
        "torchrun --nproc-per-node 2"
    )


@pytest.mark.usefixtures("not_launched")
def test_the_launcher_gets_the_script_and_variables(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NODES", "3")
    launcher = "printf '<%s>' --nnodes $NODES --rdzv=${NODES}x $NO_SUCH_NAME"
    process = multiprocessing.get_context("fork").Process(target=launch, args=(launcher,))
    process.start()
    process.join(30)
    assert process.exitcode == 0
    assert capfd.readouterr().out == "<--nnodes><3><--rdzv=3x><$NO_SUCH_NAME><stages/pretrain.py><a b>"


@pytest.mark.usefixtures("not_launched")
def test_nothing_is_launched_twice_or_without_a_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    launch("none")
    monkeypatch.setenv("WORLD_SIZE", "2")
    launch("no-such-launcher")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs processor affinity")
@pytest.mark.parametrize(("job", "cuda", "warned"), [("1", False, True), ("", True, True), ("", False, False)])
def test_one_core_for_a_process_is_a_warning_where_more_can_be_had(
    job: str, cuda: bool, warned: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    if job:
        monkeypatch.setenv("SLURM_JOB_ID", job)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        with init_distributed():
            pass
    finally:
        os.sched_setaffinity(0, cores)
    err = capsys.readouterr().err
    assert err.startswith("warning: each process has 1 core") == warned
    assert ("SRUN_CPUS_PER_TASK" in err) == bool(job)
