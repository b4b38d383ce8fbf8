"""One process, many processes and a Dask cluster make the same packs."""

import os
import sys
import threading
from contextlib import nullcontext
from pathlib import Path

import pytest

from mofore.config import Frames
from mofore.errors import UserError
from mofore.frames.packs import Pack
from mofore.frames.parallel import make_packs
from tests.helpers.dask_cluster import dask_cluster
from tests.helpers.processes import decoders, needs_proc, wait_until
from tests.helpers.video_files import write_video


def packs(folder: Path) -> list[Pack]:
    folder.mkdir()
    files = [write_video(folder.parent / f"{n}.avi", 20 + n, (320, 240)) for n in range(8)]
    return [Pack(folder / f"pack-{n:05d}.bin", files[n : n + 2], Frames(16, 0, 90), 60) for n in range(0, 8, 2)]


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.slow
@needs_proc
def test_all_backends_make_the_same(tmp_path: Path) -> None:
    assert list(make_packs(packs(tmp_path / "one"), 1, "loky")) == [2] * 4
    assert not decoders(os.getpid())
    assert list(make_packs(packs(tmp_path / "two"), 2, "loky")) == [2] * 4
    wait_until(lambda: not decoders(os.getpid()))
    assert len(contents(tmp_path / "one")) == 8
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


@needs_proc
def test_threads_make_the_same_where_processes_cannot_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(make_packs(packs(tmp_path / "one"), 1, "loky")) == [2] * 4
    monkeypatch.setattr("mofore.frames.parallel.local_backend", lambda: "threading")
    assert list(make_packs(packs(tmp_path / "two"), 2, "loky")) == [2] * 4
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    wait_until(lambda: not decoders(os.getpid()))


def test_an_error_in_a_worker_is_raised(tmp_path: Path) -> None:
    (tmp_path / "file").touch()  # a file at the path of the folder
    pack = Pack(tmp_path / "file/pack-00000.bin", [tmp_path / "a.avi"], Frames(16, 0, 90), 60)
    with pytest.raises(FileExistsError) as raised:
        list(make_packs([pack, pack], 2, "loky"))
    assert str(raised.value.filename).startswith(str(tmp_path / "file"))


@pytest.mark.slow
@pytest.mark.parametrize("succeeds", [True, False])
def test_no_thread_of_loky_remains(tmp_path: Path, succeeds: bool) -> None:
    """A thread of Loky that still runs while Python exits may cause a warning about leaked semaphores."""
    made = packs(tmp_path / "packs")
    if not succeeds:
        (tmp_path / "file").touch()
        made.append(Pack(tmp_path / "file/pack-00000.bin", made[0].files, Frames(16, 0, 90), 60))
    before = set(threading.enumerate())
    with nullcontext() if succeeds else pytest.raises(FileExistsError):
        list(make_packs(made, 2, "loky"))
    assert set(threading.enumerate()) <= before


def test_dask_without_an_address_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.delenv("DASK_SCHEDULER_ADDRESS", raising=False)
    with pytest.raises(UserError, match=r"DASK_SCHEDULER_ADDRESS is not set: set it to .* tcp://host:8786"):
        list(make_packs([], 2, "dask"))


def test_missing_dask_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UserError, match=r"pip install distributed"):
        list(make_packs([], 2, "dask"))


@pytest.mark.slow
@needs_proc
def test_dask_cluster_of_two_processes_makes_the_same(tmp_path: Path) -> None:
    list(make_packs(packs(tmp_path / "here"), 1, "loky"))
    with dask_cluster(tmp_path) as workers:
        assert list(make_packs(packs(tmp_path / "there"), 1, "dask")) == [2] * 4
        assert [len(decoders(worker.pid)) for worker in workers] == [1, 1]
    assert contents(tmp_path / "here") == contents(tmp_path / "there")
