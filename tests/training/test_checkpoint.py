"""Checkpoints are written atomically and belong to one stage with one set of dependencies."""

import compileall
import multiprocessing
import os
import random
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from mofore.config import Params, load_params
from mofore.errors import UserError
from mofore.runtime.distributed import SINGLE, Processes
from mofore.training.checkpoint import Checkpoint, checkpoint, stage_key
from mofore.utils import scratch as scratch_module
from tests.helpers.launched import run_distributed
from tests.helpers.processes import descendants, has_locked, needs_proc, wait_until

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
Packer = Callable[..., Path]


def state(step: int, numbers: int = 4) -> dict[str, Any]:
    return {"step": step, "weights": torch.full((numbers,), float(step)), "rows": [{"loss": 0.1, "epoch": 1}]}


def reload(folder: Path) -> dict[str, Any] | None:
    """Load the checkpoint as another process would."""
    return Checkpoint(folder, 0).load(CPU)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    assert reload(tmp_path) is None
    saved = Checkpoint(tmp_path / "new", 0)
    assert saved.describe() == "there is no checkpoint yet"
    for step in (3, 4):
        assert saved.save(state(step))
        torch.testing.assert_close(reload(tmp_path / "new"), state(step), rtol=0, atol=0)
        assert saved.describe() == f"the last checkpoint is from step {step}"
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["last.pt"]

    resumed = Checkpoint(tmp_path / "new", 0)
    resumed.load(CPU)
    assert resumed.describe() == "the last checkpoint is from step 4"


def test_the_next_checkpoint_is_due_after_the_interval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 50.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    saved = Checkpoint(tmp_path, 10)
    for _ in range(2):
        now += 9
        assert not saved.due()
        now += 1
        assert saved.due()
        saved.save(state(1))


def test_saving_takes_at_most_a_fiftieth_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, save = 50.0, torch.save

    def slow(state: Any, file: Any) -> None:
        nonlocal now
        now += 3  # seconds, as for 600 MB on a network's file system
        save(state, file)

    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(torch, "save", slow)
    saved = Checkpoint(tmp_path, 10)
    saved.save(state(1))
    now += 149
    assert not saved.due()
    now += 1
    assert saved.due()


@pytest.mark.parametrize("damage", ["empty", "cut", "other", "no step"])
def test_a_damaged_checkpoint_is_an_error(tmp_path: Path, damage: str) -> None:
    Checkpoint(tmp_path, 0).save(state(3))
    file = tmp_path / "last.pt"
    whole = file.read_bytes()
    if damage == "no step":
        torch.save({"weights": torch.ones(1)}, file)
    else:
        file.write_bytes({"empty": b"", "cut": whole[: len(whole) // 2], "other": b"not a checkpoint"}[damage])
    with pytest.raises(UserError) as caught:
        reload(tmp_path)
    assert str(caught.value) == f"{file}: damaged: delete it to start from the beginning"


def test_a_full_disk_prints_a_warning_and_keeps_the_previous_checkpoint(
    tiny_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved, numbers = Checkpoint(tiny_disk, 0), 10_000  # 40 KB: there is space for one file, not for two
    assert saved.save(state(7, numbers))
    assert not saved.save(state(8, numbers))
    assert capsys.readouterr().err == (
        f"warning: no space left on the device writing {tiny_disk}/last.pt: the last checkpoint is from step 7; "
        "free some space\n"
    )
    torch.testing.assert_close(reload(tiny_disk), state(7, numbers), rtol=0, atol=0)
    assert [file.name for file in tiny_disk.iterdir()] == ["last.pt"], "the partial file is deleted"
    assert saved.describe() == "the last checkpoint is from step 7"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_saving_works_again_when_the_disk_has_space(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "last.part").symlink_to("/dev/full")
    saved = Checkpoint(tmp_path, 0)
    assert not saved.save(state(1))
    assert "last.pt: there is no checkpoint yet; free some space" in capsys.readouterr().err
    assert saved.save(state(2))
    torch.testing.assert_close(reload(tmp_path), state(2), rtol=0, atol=0)


def test_other_os_errors_are_raised(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        Checkpoint(tmp_path / "file", 0).save(state(1))


def changed_since(file: Path, mtime_ns: int) -> bool:
    return file.stat().st_mtime_ns != mtime_ns


def save_forever(folder: Path) -> None:
    torch.set_num_threads(1)  # a forked process has none of torch's threads
    saved = Checkpoint(folder, 0)
    step = (saved.load(CPU) or {"step": 0})["step"]
    while True:
        step += 1
        saved.save(state(step, 100_000))


@pytest.mark.slow
def test_a_process_killed_while_saving_leaves_a_readable_checkpoint(tmp_path: Path) -> None:
    rng, file, step, torn = random.Random(0), tmp_path / "last.pt", 1, 0
    Checkpoint(tmp_path, 0).save(state(step))
    for kill in range(40):
        process = multiprocessing.get_context("fork").Process(target=save_forever, args=(tmp_path,), daemon=True)
        before = file.stat().st_mtime_ns
        process.start()
        wait_until(partial(changed_since, file, before))
        time.sleep(rng.uniform(0, 0.01))
        process.kill()
        process.join()
        found = reload(tmp_path)
        assert found is not None
        assert found["step"] > step, f"kill {kill}"
        step = found["step"]
        torch.testing.assert_close(found, state(step, 100_000), rtol=0, atol=0)
        torn += file.with_suffix(".part").exists()
    assert torn, "no process was killed while it wrote"


@pytest.fixture
def project(tmp_path: Path, pack: Packer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with dvc.yaml, the code that pretraining depends on, and frames."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    shutil.copy(ROOT / "dvc.yaml", "dvc.yaml")
    shutil.copy(ROOT / ".dvcignore", ".dvcignore")
    for dep in yaml.safe_load(Path("dvc.yaml").read_text())["stages"]["pretrain"]["deps"]:
        if dep.startswith("data/"):
            continue  # a checkout in which the pipeline has run has frames of its own
        if (ROOT / dep).is_dir():
            shutil.copytree(ROOT / dep, dep, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            Path(dep).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / dep, dep)
    Path("data").mkdir()
    pack([3, 3]).rename("data/frames")
    return tmp_path


def test_key_depends_on_params_code_and_data(project: Path, params: Params) -> None:
    keys = [stage_key("pretrain", params)]

    def changed() -> bool:
        keys.append(stage_key("pretrain", params))
        return keys[-1] not in keys[:-1]

    assert not changed()
    params.runtime.workers, params.runtime.device, params.runtime.checkpoint = 7, "cuda", 1.5
    params.embed.clips, params.knn.k, params.frames.short_side = 99, 99, 99
    assert not changed(), "the stage does not depend on these"

    params.forecast.gap_max += 1
    assert changed()
    params.seed += 1
    assert changed()
    for name in (
        "mofore/method/losses.py",
        "stages/pretrain.py",
        "data/frames/packs/index.npy",
        "data/frames/packs/pack-00001.bin",
    ):
        content = bytearray((project / name).read_bytes())
        content[len(content) // 2] ^= 1
        (project / name).write_bytes(content)
        assert changed(), name
    (project / "data/frames/packs/pack-00001.bin").rename("data/frames/packs/pack-00002.bin")
    assert changed()


def test_key_ignores_bytecode_caches_and_editor_files(project: Path, params: Params) -> None:
    before = stage_key("pretrain", params)
    assert compileall.compile_dir(project / "mofore", quiet=1)
    assert list((project / "mofore/method").rglob("*.pyc"))
    for left in (".ipynb_checkpoints/step.py", ".mypy_cache/x.json", ".step.py.swp", "step.py~", ".DS_Store"):
        file = project / "mofore/training" / left
        file.parent.mkdir(exist_ok=True)
        file.write_text("temporary")
    assert stage_key("pretrain", params) == before
    (project / "mofore/training/new.py").write_text("")
    assert stage_key("pretrain", params) != before


def test_key_depends_on_the_length_of_long_packs(project: Path, params: Params) -> None:
    pack = project / "data/frames/packs/pack-00000.bin"
    pack.write_bytes(bytes(3 << 20))
    before = stage_key("pretrain", params)
    pack.write_bytes(bytes((3 << 20) + 1))
    assert stage_key("pretrain", params) != before


@needs_proc
@pytest.mark.usefixtures("project")
def test_a_second_run_waits_unless_its_parameters_differ(
    params: Params, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mofore.utils.scratch.POLL_SECONDS", 0.02)

    def second() -> int:
        with checkpoint("pretrain", params, SINGLE) as saved:
            return int((saved.load(CPU) or {"step": 0})["step"])

    with ThreadPoolExecutor() as threads:
        with checkpoint("pretrain", params, SINGLE) as saved:
            waiting = threads.submit(second)
            wait_until(lambda: has_locked(os.getpid(), saved.file.parent / "waiting"))
            assert "another run is running stage pretrain with the same param" in capsys.readouterr().err
            other_params = deepcopy(params)
            other_params.seed += 1
            with checkpoint("pretrain", other_params, SINGLE) as other:
                assert other.file != saved.file
                assert other.load(CPU) is None
            assert not waiting.done()
            saved.save(state(5))
        assert waiting.result(300) == 5, "it has the result of the first"
    assert not saved.file.parent.exists()


def wait_as_rank(processes: Processes, folder: Path) -> int:
    """What the processes of a second run do while the first one has the checkpoint; the step that they load."""
    os.chdir(folder)
    scratch_module.POLL_SECONDS = 0.02
    params = load_params(ROOT / "params.yaml")
    with checkpoint("pretrain", params, processes) as saved:
        return int((saved.load(CPU) or {"step": 0})["step"])


@needs_proc
def test_all_ranks_of_a_second_run_wait(project: Path, tmp_path: Path) -> None:
    params = load_params(ROOT / "params.yaml")
    with ThreadPoolExecutor() as threads:
        with checkpoint("pretrain", params, SINGLE) as saved:
            waiting = threads.submit(run_distributed, 2, tmp_path / "ranks", wait_as_rank, project)
            lock = saved.file.parent / "waiting"
            wait_until(lambda: any(has_locked(pid, lock) for pid in descendants(os.getpid())))
            time.sleep(0.3)
            assert not waiting.done()
            saved.save(state(5))
        assert waiting.result(300) == [5, 5]


@pytest.mark.usefixtures("project")
def test_a_checkpoint_is_kept_after_an_error_and_deleted_after_success(params: Params) -> None:
    params.runtime.checkpoint = 12
    with suppress(ZeroDivisionError), checkpoint("pretrain", params, SINGLE) as saved:
        assert saved.file.parent == Path.cwd() / ".scratch/pretrain" / stage_key("pretrain", params)
        assert saved.every == 12
        saved.save(state(9))
        raise ZeroDivisionError
    with checkpoint("pretrain", params, SINGLE) as saved:
        assert (saved.load(CPU) or {})["step"] == 9
    assert not saved.file.parent.exists()
