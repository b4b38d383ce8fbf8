"""The SLURM job of docs/distributed.md, run with fake SLURM commands: it saves, requeues itself and resumes."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.helpers.processes import needs_proc, wait_until
from tests.helpers.small_project import ROOT, SMALL, environment, make_project, run

pytestmark = [needs_proc, pytest.mark.slow, pytest.mark.skipif(shutil.which("pkill") is None, reason="needs pkill")]


DOCS = ROOT / "docs" / "distributed.md"


def job() -> str:
    (script,) = re.findall(r"```bash\n(#!/bin/bash\n#SBATCH.*?)```", DOCS.read_text(), flags=re.DOTALL)
    return str(script)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    project, commands = tmp_path / "mofore", tmp_path / "bin"
    make_project(project, {**SMALL, "pretrain.epochs": 24, "pretrain.knn_every": 0, "runtime.checkpoint": 0.5})
    text = (project / "params.yaml").read_text()
    (launcher,) = re.findall(r"`(srun torchrun[^`]+)`", DOCS.read_text())
    launcher = " ".join(launcher.split()).replace("--nproc-per-node gpu", "--nproc-per-node 2")
    (project / "params.yaml").write_text(re.sub(r"launcher: none +#.*", f"launcher: {launcher}", text))
    commands.mkdir()
    (commands / "srun").write_text('#!/bin/sh\nexec "$@"\n')
    (commands / "scontrol").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/scontrol_calls\n')
    for command in commands.iterdir():
        command.chmod(0o755)
    (tmp_path / "job.sh").write_text(job())
    run("dvc", "repro", "extract_frames", cwd=project)
    return project


def start(project: Path) -> "subprocess.Popen[bytes]":
    slurm = {"SLURM_NNODES": "1", "SLURM_JOB_ID": "4711", "SLURMD_NODENAME": "127.0.0.1"}
    base_env = environment(project)
    return subprocess.Popen(
        ["bash", project.parent / "job.sh"],
        cwd=project,
        env={**base_env, **slurm, "PATH": f"{project.parent / 'bin'}{os.pathsep}{base_env['PATH']}"},
        stdout=(project.parent / "log").open("ab"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def test_the_job_saves_requeues_itself_and_resumes(project: Path) -> None:
    log, scontrol_calls = project.parent / "log", project.parent / "scontrol_calls"
    running = start(project)
    wait_until(lambda: bool(list((project / ".scratch/pretrain").glob("*/last.pt"))), 120)
    running.send_signal(signal.SIGUSR1)
    running.wait(60)
    assert scontrol_calls.read_text() == "requeue 4711\n"
    stopped = re.findall(r"stopped by SIGTERM after step (\d+) of \d+: saved", log.read_text())
    assert len(stopped) == 1, log.read_text()

    assert start(project).wait(240) == 0
    assert scontrol_calls.read_text() == "requeue 4711\n", "a finished job does not requeue itself"
    assert f"resumed from step {stopped[0]}\n" in log.read_text()
    assert (project / "results/overview.png").exists()
