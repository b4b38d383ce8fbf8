"""A pretraining run that is killed and resumed yields the same encoder, byte for byte, in every mode of DVC.

`MOFORE_KILLS=30 pytest tests/pipeline/test_interruption.py` tests more kills than the default of 4.
"""

import compileall
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.helpers.processes import descendants, needs_proc, wait_until
from tests.helpers.small_project import SMALL, commit, environment, make_project, run

KILLS = int(os.environ.get("MOFORE_KILLS", "4"))
INTERVAL = 0.5  # seconds between two checkpoints
PRETRAIN = {
    "repro": ("dvc", "repro", "--single-item", "--force", "pretrain"),
    "exp run": ("dvc", "exp", "run", "--single-item", "--force", "pretrain"),
    "temp": ("dvc", "exp", "run", "--temp", "--single-item", "--force", "pretrain"),
    "queue": ("dvc", "exp", "run", "--queue", "--single-item", "--force", "pretrain"),
}

pytestmark = [needs_proc, pytest.mark.slow]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project whose pretraining takes some seconds. It has run once without interruption and is committed."""
    project = tmp_path_factory.mktemp("interruption") / "mofore"
    longer: dict[str, object] = {
        "demo.clips": 2,
        "pretrain.epochs": 16,
        "pretrain.knn_every": 8,
        "runtime.checkpoint": INTERVAL,
    }
    make_project(project, {**SMALL, **longer})
    run("dvc", "repro", "pretrain", cwd=project)
    commit(project)
    return project


def model_hash(lock: str) -> str:
    """Return the hash of data/model in a dvc.lock. It covers the names and bytes of all files."""
    found: str = yaml.safe_load(lock)["stages"]["pretrain"]["outs"][0]["md5"]
    return found


def start(project: Path, mode: str) -> "subprocess.Popen[str]":
    """Start pretraining in the background."""
    if mode == "queue":
        run(*PRETRAIN[mode], cwd=project)
        command: tuple[str, ...] = ("dvc", "queue", "start", "-j", "1")
    else:
        command = PRETRAIN[mode]
    return subprocess.Popen(
        command, cwd=project, env=environment(project), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip


def stage_processes() -> list[int]:
    """Return the ids of this test's pretraining processes, in whatever folder DVC runs them; helper processes last."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            root = (folder / "environ").read_bytes()
        except OSError:
            continue
        if b"stages/pretrain.py" in words and b"test_interruption" in root:
            found.append(int(folder.name))
    return sorted(found)


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGKILL])
def test_processes_whose_launcher_is_killed_save_and_stop(
    project: Path, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (project / "params.yaml").read_text()
    launcher = "torchrun --standalone --nproc-per-node 2"
    (project / "params.yaml").write_text(re.sub("launcher: none", f"launcher: {launcher}", text))
    for variable in ("MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(variable, raising=False)
    command = (Path(sys.executable).parent / "python", "stages/pretrain.py")
    with subprocess.Popen(
        command, cwd=project, env=environment(project), stderr=subprocess.PIPE, text=True
    ) as torchrun:
        wait_until(lambda: bool(checkpoints(project)))
        torchrun.send_signal(number)
        stderr = torchrun.communicate()[1]
    wait_until(lambda: not stage_processes())
    (stopped,) = re.findall(
        r"stopped by SIGTERM after step (\d+) of \d+: saved, run the same command to resume", stderr
    )
    done = run(*map(str, command), cwd=project)
    assert f"resumed from step {stopped}\n" in done.stderr
    assert not checkpoints(project)
    (project / "params.yaml").write_text(text)
    run("git", "checkout", "-q", ".", cwd=project)
    run("dvc", "checkout", "-f", "pretrain", cwd=project)


def test_a_run_is_resumed_after_a_fresh_byte_compile(project: Path) -> None:
    """Byte-code files next to the source must not change the checkpoint's key; otherwise the work would be lost."""
    command = (str(Path(sys.executable).parent / "python"), "stages/pretrain.py")
    shutil.rmtree(project / "mofore/method/__pycache__", ignore_errors=True)
    with subprocess.Popen(command, cwd=project, env=environment(project), stderr=subprocess.PIPE, text=True) as stage:
        wait_until(lambda: bool(checkpoints(project)))
        stage.terminate()
        stderr = stage.communicate()[1]
    (stopped,) = re.findall(r"stopped by SIGTERM after step (\d+) of \d+: saved", stderr)
    assert compileall.compile_dir(project / "mofore", quiet=1, force=True)
    assert list((project / "mofore/method").rglob("*.pyc"))
    done = run(*command, cwd=project)
    assert re.search(rf"step {stopped}\n", done.stderr), done.stderr
    assert not checkpoints(project)
    run("git", "checkout", "-q", ".", cwd=project)
    run("dvc", "checkout", "-f", "pretrain", cwd=project)


def checkpoints(project: Path) -> list[Path]:
    """Return the checkpoints of unfinished runs."""
    return list((project / ".scratch/pretrain").glob("*/last.pt"))


def finish(project: Path, mode: str) -> str:
    """Run pretraining to its end and return the hash of data/model."""
    before = set(experiments(project))
    if mode == "queue":
        run(*PRETRAIN[mode], cwd=project)
        run("dvc", "queue", "start", "-j", "1", cwd=project)
        wait_until(lambda: bool(set(experiments(project)) - before))
    else:
        run(*PRETRAIN[mode], cwd=project)
    if mode in ("repro", "exp run"):
        return model_hash((project / "dvc.lock").read_text())
    (new,) = set(experiments(project)) - before
    return model_hash(run("git", "show", f"{new}:dvc.lock", cwd=project).stdout)


def experiments(project: Path) -> list[str]:
    """Return the commits of finished experiments."""
    listed = run("git", "for-each-ref", "--format=%(objectname) %(refname)", "refs/exps", cwd=project).stdout
    return [line.split()[0] for line in listed.splitlines() if re.search(r"refs/exps/[0-9a-f]{2}/", line)]


@pytest.mark.parametrize("kill", range(KILLS))
def test_a_killed_run_resumes_and_yields_the_same_encoder(project: Path, kill: int) -> None:
    mode = list(PRETRAIN)[kill % 4]
    number = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)[(kill // 4 + kill) % 3]
    rng = random.Random(kill)
    expected = model_hash(run("git", "show", "HEAD:dvc.lock", cwd=project).stdout)
    assert not checkpoints(project)

    dvc = start(project, mode)
    try:
        wait_until(lambda: bool(checkpoints(project)))
        time.sleep(rng.uniform(0, 1.5))
        running = stage_processes()
        age = time.time() - max((file.stat().st_mtime for file in checkpoints(project)), default=0)
        if number == signal.SIGINT and mode != "queue":
            os.killpg(dvc.pid, number)  # Ctrl-C reaches DVC and all processes it started
        else:
            for process in running if number == signal.SIGINT else running[:1]:
                os.kill(process, number)
        wait_until(lambda: not stage_processes())
        dvc.communicate(timeout=120)
        wait_until(lambda: not descendants(dvc.pid))
    finally:
        dvc.kill()
    assert age < INTERVAL + 10, "the last checkpoint was older than the interval, or fifty times what saving takes"
    assert checkpoints(project), "the run ended before it was killed"

    assert finish(project, mode) == expected
    assert not checkpoints(project)
    run("git", "checkout", "-q", ".", cwd=project)
    run("dvc", "checkout", "pretrain", cwd=project)
