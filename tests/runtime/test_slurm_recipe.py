"""The SLURM job of docs/distributed.md, on a real SLURM cluster of two nodes: it saves, requeues itself and resumes.

`MOFORE_KILLS=20 pytest tests/runtime/test_slurm_recipe.py` stops the job 20 times instead of once. The first of more
than two stops is SLURM's own, before the time of the job ends; the others are sent as SLURM would send them.
"""

import os
import random
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from tests.helpers.processes import needs_proc, wait_until
from tests.helpers.slurm import Slurm, idle_nodes, slurm_cluster
from tests.helpers.small_project import ROOT, SMALL, environment, make_project, run, set_launcher

pytestmark = [needs_proc, pytest.mark.slow]

DOCS = ROOT / "docs" / "distributed.md"
STOPS = int(os.environ.get("MOFORE_KILLS", "1"))
END = 300 + 100 * STOPS  # seconds in which a run must end: it is the longer, the oftener it is stopped
VALUES: dict[str, object] = {"demo.clips": 2, "pretrain.knn_every": 0, "runtime.checkpoint": 0.5}


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    with slurm_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project with the launcher and the job of the docs, but for the number of GPUs and cores."""
    project = tmp_path_factory.mktemp("slurm") / "mofore"
    make_project(project, {**SMALL, **VALUES, "pretrain.epochs": 24 + 12 * STOPS})
    (launcher,) = re.findall(r"`(srun torchrun[^`]+)`", DOCS.read_text())
    set_launcher(project, " ".join(launcher.split()).replace("--nproc-per-node gpu", "--nproc-per-node 1"))
    (job,) = re.findall(r"```bash\n(#!/bin/bash\n#SBATCH.*?)```", DOCS.read_text(), flags=re.DOTALL)
    job = job.replace("--gpus-per-node=8 ", "").replace("--cpus-per-task=64", f"--cpus-per-task={os.cpu_count()}")
    (project.parent / "job.sh").write_text(
        job.replace("dvc repro &", "dvc repro embed &")
    )  # the rest takes no launcher
    run("dvc", "repro", "extract_frames", cwd=project)
    return project


def submit(slurm: Slurm, project: Path, *options: str) -> str:
    """Submit the job; returns its number. It writes its output to `log`."""
    command = ("sbatch", "--parsable", f"--output={project.parent}/log", *options, str(project.parent / "job.sh"))
    return slurm.run(*command, env=environment(project), cwd=project).strip()


def wait_for_end(slurm: Slurm, project: Path, job: str) -> None:
    wait_until(lambda: slurm.state(job) not in ("RUNNING", "PENDING", "CONFIGURING", "COMPLETING"), END)
    logs = (project.parent / "log", slurm.folder / "slurmctld.log", slurm.folder / "slurmd-node1.log")
    assert slurm.state(job) == "COMPLETED", "".join(log.read_text()[-4000:] for log in logs)


def start_at_once(slurm: Slurm, project: Path, job: str) -> None:
    """Start a job that is being requeued, for which SLURM would wait for two minutes."""
    # With idle nodes the first job has ended. Before, its end could be taken for that of the job that starts now.
    wait_until(lambda: slurm.state(job) == "PENDING" and idle_nodes(slurm) == 2)
    time.sleep(3)  # slurmd starts no job in the second in which it has ended its first run ("Job credential revoked")

    def started() -> bool:  # asked for more than once, as SLURM sets the time of the start after it has requeued a job
        if slurm.state(job) == "PENDING":
            with suppress(AssertionError):  # it has started meanwhile
                slurm.run("scontrol", "update", f"jobid={job}", "starttime=now", env=environment(project), cwd=project)
            time.sleep(1)
        return slurm.state(job) != "PENDING"

    wait_until(started, 400)


def outputs(project: Path) -> list[str]:
    """The hashes of encoder and embeddings."""
    stages = yaml.safe_load((project / "dvc.lock").read_text())["stages"]
    return [stages[stage]["outs"][0]["md5"] for stage in ("pretrain", "embed")]


def test_the_job_saves_requeues_itself_resumes_and_makes_the_same_encoder(slurm: Slurm, project: Path) -> None:
    log = project.parent / "log"
    wait_for_end(slurm, project, submit(slurm, project))
    undisturbed = outputs(project)
    assert "1 core" not in log.read_text(), "srun gave a task fewer cores than the job asked for"
    log.unlink()
    (project / "dvc.lock").unlink()
    shutil.rmtree(project / ".dvc/cache/runs")  # else DVC takes the first run's results

    ends_soon = ("--time=2", "--signal=B:USR1@95") if STOPS > 2 else ()  # SLURM stops it within a minute
    job, rng = submit(slurm, project, *ends_soon), random.Random(0)
    for stop in range(1, STOPS + 1):
        wait_until(lambda: bool(list((project / ".scratch/pretrain").glob("*/last.pt"))), 400)
        resumed = stop - 1
        wait_until(lambda resumed=resumed: log.read_text().count("resumed from step") == resumed, 400)  # type: ignore[misc]
        if stop > 1 or not ends_soon:
            time.sleep(rng.uniform(0, 1.5))
            slurm.run("scancel", "--batch", "--signal=USR1", job, env=environment(project), cwd=project)
        wait_until(lambda stop=stop: len(re.findall("SIGTERM after step .* saved", log.read_text())) == stop)  # type: ignore[misc]
        if stop == 1 and ends_soon:
            wait_until(lambda: slurm.state(job) == "PENDING")
            slurm.run("scontrol", "update", f"jobid={job}", "timelimit=60", env=environment(project), cwd=project)
        start_at_once(slurm, project, job)
    wait_for_end(slurm, project, job)
    stopped = re.findall(r"stopped by SIGTERM after step (\d+) of \d+: saved", log.read_text())
    assert re.findall(r"resumed from step (\d+)", log.read_text()) == stopped
    assert len(stopped) == STOPS
    assert outputs(project) == undisturbed
