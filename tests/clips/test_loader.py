"""Batches are the same for any number of workers, and after any of them is killed."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from mofore.clips import loader
from mofore.clips.dataset import EpochSampler, ForecastDataset
from mofore.clips.loader import PREFETCH_BATCHES, WORKER_NICENESS, load_batches
from mofore.config import Params
from mofore.errors import UserError
from mofore.frames.store import FrameStore
from tests.helpers.processes import has_ended, needs_proc, wait_until

Packer = Callable[..., Path]
CPU, ELSEWHERE = torch.device("cpu"), torch.device("mps")  # never used here, so the machine need not have it
KEYS = [[(epoch, (epoch + i) % 5) for i in range(5)] for epoch in range(6)]
ORPHANED = """
import sys, time
sys.path.insert(0, sys.argv[1])
from mofore.clips import loader
from tests.clips.test_loader import CPU, KEYS, MadeByPid, worker_processes, load_batches
loader.START = sys.argv[2]
for _ in load_batches(MadeByPid(), KEYS, 3, CPU):
    print(*[worker.pid for worker in worker_processes()], flush=True)
    time.sleep(60)
"""


class Made(NamedTuple):
    key: Any
    maker: Any


class MadeByPid:
    """Samples with the id of the process that made them. A worker that makes sample `killed_by` dies."""

    def __init__(self, killed_by: tuple[int, int] | None = None) -> None:
        self.killed_by, self.parent = killed_by, os.getpid()

    def video(self, key: tuple[int, int]) -> int | None:
        return key[1]

    def __getitem__(self, key: tuple[int, int]) -> Made:
        if key == self.killed_by and os.getpid() != self.parent:
            os.kill(os.getpid(), signal.SIGKILL)
        return Made(np.array(key), os.getpid())


class NothingCached(MadeByPid):
    """Samples that any worker may make."""

    def video(self, key: tuple[int, int]) -> None:
        pass


class Recorded(MadeByPid):
    """Samples that create one file each."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def __getitem__(self, key: tuple[int, int]) -> Made:
        (self.folder / f"{key[0]} {key[1]}").touch()
        return super().__getitem__(key)


class BareArrays:
    """Samples that are a single array, not a tuple."""

    def video(self, key: int) -> int:
        return key

    def __getitem__(self, key: int) -> npt.NDArray[np.float32]:
        return np.full((2, 3), key, np.float32)


@pytest.fixture(autouse=True)
def no_worker_is_left() -> Iterator[None]:
    yield
    assert not worker_processes()


@pytest.fixture
def samples(pack: Packer, params: Params) -> ForecastDataset:
    params.clip.frames, params.clip.stride, params.clip.size = 3, 2, 16
    params.forecast.gap_max = 9
    videos = FrameStore(pack([20] * 7, texture=True))
    return ForecastDataset(videos, params.clip, params.forecast, params.augment, params.seed, cache_bytes=1e9)


def worker_processes() -> list[Any]:
    return multiprocessing.active_children()


def copies(batches: Iterable[tuple[Tensor, ...]]) -> list[tuple[Tensor, ...]]:
    return [tuple(field.clone() for field in batch) for batch in batches]


def same(a: list[tuple[Tensor, ...]], b: list[tuple[Tensor, ...]]) -> bool:
    return len(a) == len(b) and all(
        torch.equal(x, y) and x.dtype == y.dtype
        for one, other in zip(a, b, strict=True)
        for x, y in zip(one, other, strict=True)
    )


def slow(samples: ForecastDataset, keys: Iterable[list[Any]]) -> list[tuple[Tensor, ...]]:
    return [
        tuple(torch.from_numpy(np.stack(fields)) for fields in zip(*[samples[key] for key in batch], strict=True))
        for batch in keys
    ]


@pytest.mark.parametrize(
    ("workers", "device"),
    [*((workers, CPU) for workers in (-1, 0, 1, 2, 3)), *((workers, ELSEWHERE) for workers in (0, 1, 2))],
)
def test_batches_are_the_same_for_any_number_of_workers(
    samples: ForecastDataset, workers: int, device: torch.device
) -> None:
    keys = EpochSampler(7, 3, epochs=3, seed=1)
    found = load_batches(samples, keys, workers, device)
    assert same(copies(found), slow(samples, keys))


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
def test_the_last_batch_may_be_smaller(samples: ForecastDataset, workers: int) -> None:
    keys = [[(0, 0), (0, 1), (0, 2), (0, 3)], [(0, 4), (0, 5), (0, 6), (1, 0)], [(1, 5), (1, 2)], [(1, 3)]]
    found = copies(load_batches(samples, keys, workers, CPU))
    assert [len(batch[0]) for batch in found] == [4, 4, 2, 1]
    assert same(found, slow(samples, keys))


def test_samples_may_be_bare_arrays() -> None:
    found = [batch.clone() for batch in load_batches(BareArrays(), [[0, 1, 2], [3, 4]], 2, CPU)]
    assert [batch.shape for batch in found] == [(3, 2, 3), (2, 2, 3)]
    assert [batch[:, 0, 0].tolist() for batch in found] == [[0, 1, 2], [3, 4]]


def test_without_batches_no_worker_starts() -> None:
    assert list(load_batches(MadeByPid(), [], 3, CPU)) == []


def test_without_workers_the_caller_makes_each_batch_when_it_is_requested(tmp_path: Path) -> None:
    for i, batch in enumerate(load_batches(Recorded(tmp_path), KEYS, 0, CPU)):
        assert set(batch.maker.tolist()) == {os.getpid()}
        assert not worker_processes()
        assert len(list(tmp_path.iterdir())) == 5 * (i + 1)


def test_workers_prefetch_a_few_batches(tmp_path: Path) -> None:
    with closing(load_batches(Recorded(tmp_path), KEYS, 2, CPU)) as batches:
        for i in range(2):
            next(batches)
            wait_until(lambda: len(list(tmp_path.iterdir())) == 5 * (i + 1 + PREFETCH_BATCHES))  # noqa: B023
        time.sleep(0.1)
        assert len(list(tmp_path.iterdir())) == 5 * (2 + PREFETCH_BATCHES)


@pytest.mark.slow
def test_a_batch_is_valid_until_the_next_is_requested() -> None:
    for batch, wanted in zip(load_batches(MadeByPid(), KEYS, 3, CPU), KEYS, strict=True):
        time.sleep(0.05)  # long enough to prefetch all further batches
        assert batch.key.tolist() == [list(key) for key in wanted]


def test_workers_run_at_low_priority() -> None:
    with closing(load_batches(MadeByPid(), KEYS, 3, CPU)) as batches:
        next(batches)
        niceness = [os.getpriority(os.PRIO_PROCESS, worker.pid) for worker in worker_processes()]
    assert niceness == [min(os.getpriority(os.PRIO_PROCESS, 0) + WORKER_NICENESS, 19)] * 3


@pytest.mark.parametrize(("workers", "makers"), [(0, 1), (1, 1), (2, 2), (3, 3), (7, 5)])
def test_a_video_is_always_decoded_by_the_same_process(workers: int, makers: int) -> None:
    of_video: list[set[int]] = [set() for _ in range(5)]
    for batch in load_batches(MadeByPid(), KEYS, workers, CPU):
        for (_, video), maker in zip(batch.key.tolist(), batch.maker.tolist(), strict=True):
            of_video[video].add(maker)
    assert all(len(makers) == 1 for makers in of_video)
    assert len(set.union(*of_video)) == makers


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_workers_share_samples_equally_if_nothing_is_cached(size: int) -> None:
    """As one of two processes embeds every other batch of 8 videos, of which 16 workers would have half of the work."""
    keys = [[(0, 4 * size * batch + row) for row in range(size)] for batch in range(12)]
    makers = Counter(pid for batch in load_batches(NothingCached(), keys, 4, CPU) for pid in batch.maker.tolist())
    assert sorted(makers.values()) == [3 * size] * 4


@pytest.mark.parametrize("number", range(5))
def test_rows_of_a_lost_worker_are_made_if_nothing_is_cached(number: int) -> None:
    for batch, wanted in zip(load_batches(NothingCached((3, number)), KEYS, 3, CPU), KEYS, strict=True):
        assert batch.key.tolist() == [list(key) for key in wanted]


@pytest.mark.parametrize(("cache", "video"), [(1e9, 5), (0, None)])
def test_only_samples_with_a_cache_belong_to_workers(
    cache: float, video: int | None, pack: Packer, params: Params
) -> None:
    videos = FrameStore(pack([20] * 7, texture=True))
    of_cache = ForecastDataset(videos, params.clip, params.forecast, params.augment, params.seed, cache)
    assert of_cache.video((2, 5)) == video


def test_there_is_one_worker_for_each_thread_of_torch() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with closing(load_batches(MadeByPid(), KEYS, -1, CPU)) as batches:
            assert len(set(next(batches).maker.tolist())) == 3
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("killed", [[0], [1], [0, 2], [0, 1, 2]])
def test_rows_of_workers_killed_between_two_batches_are_made(number: int, killed: list[int]) -> None:
    found = []
    for i, batch in enumerate(load_batches(MadeByPid(), KEYS, 3, CPU)):
        found.append(batch.key.tolist())
        if i == 2:
            victims = worker_processes()
            for victim in killed:
                os.kill(victims[victim].pid, number)
                victims[victim].join()
        assert len(worker_processes()) == (3 if i < 2 else 3 - len(killed))
    assert found == [[list(key) for key in batch] for batch in KEYS]


@pytest.mark.parametrize("video", range(5))
def test_rows_of_a_worker_killed_during_a_batch_are_made(video: int) -> None:
    makers = []
    for batch, wanted in zip(load_batches(MadeByPid(killed_by=(3, video)), KEYS, 3, CPU), KEYS, strict=True):
        assert batch.key.tolist() == [list(key) for key in wanted]
        makers.append([maker for _, maker in sorted(zip(batch.key[:, 1].tolist(), batch.maker.tolist(), strict=True))])
    assert os.getpid() not in makers[0]
    assert [maker == os.getpid() for maker in makers[-1]] == [other % 3 == video % 3 for other in range(5)]


def test_training_samples_are_right_after_a_worker_is_killed(samples: ForecastDataset) -> None:
    keys, found = list(EpochSampler(7, 3, epochs=3, seed=1)), []
    for i, batch in enumerate(load_batches(samples, keys, 2, CPU)):
        found += copies([batch])
        if i == 1:
            os.kill(worker_processes()[0].pid, signal.SIGKILL)
    assert same(found, slow(samples, keys))


@pytest.mark.slow
@pytest.mark.parametrize("start", ["spawn", "forkserver"])
@pytest.mark.parametrize("device", [CPU, ELSEWHERE])
def test_batches_are_the_same_if_processes_start_anew(
    samples: ForecastDataset, start: str, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a Mac, and by default elsewhere from Python 3.14 on."""
    monkeypatch.setattr(loader, "START", start)
    keys, found = list(EpochSampler(7, 3, epochs=3, seed=1)), []
    for i, batch in enumerate(load_batches(samples, keys, 2, device)):
        found += copies([batch])
        if i == 1:
            assert len(worker_processes()) == 2
            os.kill(worker_processes()[0].pid, signal.SIGKILL)
    assert same(found, slow(samples, keys))


@pytest.mark.slow
@pytest.mark.parametrize("start", ["spawn", "forkserver"])
def test_processes_that_start_anew_make_all_samples(start: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "START", start)
    makers = {maker for batch in load_batches(MadeByPid(), KEYS, 2, CPU) for maker in batch.maker.tolist()}
    assert len(makers) == 2
    assert os.getpid() not in makers


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGUSR1])
def test_workers_ignore_stop_signals(number: int) -> None:
    for i, _ in enumerate(load_batches(MadeByPid(), KEYS, 3, CPU)):
        if i == 1:
            for worker in worker_processes():
                os.kill(worker.pid, number)
            time.sleep(0.2)
        assert len(worker_processes()) == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("workers", "device"),
    [*((workers, CPU) for workers in (0, 1, 2, 3)), *((workers, ELSEWHERE) for workers in (0, 2))],
)
def test_an_error_in_a_worker_is_raised_by_the_caller(
    pack: Packer, params: Params, workers: int, device: torch.device
) -> None:
    folder = pack([20] * 5, texture=True)
    params.clip.frames, params.clip.stride, params.clip.size, params.forecast.gap_max = 3, 2, 16, 9
    samples = ForecastDataset(FrameStore(folder), params.clip, params.forecast, params.augment, params.seed)
    file = folder / "packs/pack-00004.bin"
    file.write_bytes(b"\0" * file.stat().st_size)
    batches = load_batches(samples, [[(0, 0), (0, 1), (0, 2)], [(0, 3), (0, 4)], [(1, 0)]], workers, device)
    next(batches)
    with pytest.raises(UserError, match=rf"^{file}: damaged at byte \d+: remove {folder}/packs and run again$"):
        next(batches)
    assert not worker_processes()


@pytest.mark.parametrize("room", ["64k", "64k,ro"])
@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_a_container_with_little_shared_memory(room: str, device: str) -> None:
    mount = ["unshare", "--mount", "--map-root-user", "sh", "-c"]
    remount = "mount -o remount,ro /dev/shm" if room.endswith(",ro") else "true"
    prepare = f"mount -t tmpfs -o size={room[:3]} tmpfs /dev/shm && {remount}"
    if subprocess.run([*mount, prepare], capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a file system")
    code = textwrap.dedent("""
        import numpy as np, torch
        from mofore.clips.loader import load_batches
        class Samples:
            def __getitem__(self, key): return np.full((16, 112, 112, 3), key, np.uint8)
            def video(self, key): return key
        keys = [list(range(first, first + 32)) for first in range(0, 192, 32)]
        batches = load_batches(Samples(), keys, 2, torch.device("DEVICE"))
        print([int(key) for batch in batches for key in batch[:, -1, -1, -1, -1]] == list(range(192)))
    """).replace("DEVICE", device)
    command = [*mount, prepare + ' && exec "$0" -c "$1"', sys.executable, code]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert (ran.stdout, ran.stderr) == ("True\n", "")


@pytest.mark.parametrize(("limit", "ahead"), [(1, 1), (3 * 5 * 24, 3), (1e9, PREFETCH_BATCHES)])  # 24 bytes a sample
def test_batches_made_ahead_are_bounded_in_bytes(
    limit: float, ahead: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mofore.clips.loader.MAX_BYTES", limit)
    with closing(load_batches(Recorded(tmp_path), KEYS, 2, CPU)) as batches:
        next(batches)
        wait_until(lambda: len(list(tmp_path.iterdir())) == 5 * (1 + ahead))
        time.sleep(0.1)
        assert len(list(tmp_path.iterdir())) == 5 * (1 + ahead)


def test_a_process_that_ends_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    list(load_batches(MadeByPid(killed_by=(3, 1)), KEYS, 3, CPU))
    expected = "warning: a process that decodes ended (SIGKILL): this one does its work now\n"
    assert capsys.readouterr().err == expected


def test_workers_end_when_the_generator_is_closed() -> None:
    batches = load_batches(MadeByPid(), KEYS, 3, CPU)
    next(batches)
    started = worker_processes()
    assert len(started) == 3
    batches.close()
    assert [worker.exitcode for worker in started] == [0, 0, 0]


@pytest.mark.slow
@needs_proc
@pytest.mark.parametrize("start", ["fork", "spawn", "forkserver"])
def test_workers_end_when_their_parent_is_killed(start: str) -> None:
    command = [sys.executable, "-c", ORPHANED, str(Path(__file__).parents[2]), start]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        started = [int(pid) for pid in parent.stdout.readline().split()]
        alive = [not has_ended(pid) for pid in started]
        parent.kill()
    try:
        assert alive == [True, True, True]
        wait_until(lambda: all(has_ended(pid) for pid in started))
    finally:
        for pid in started:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
