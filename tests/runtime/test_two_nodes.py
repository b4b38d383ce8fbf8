"""The recipe for several nodes of docs/distributed.md, on two nodes with a network of their own between them."""

import os
import random
import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.helpers.processes import needs_proc, wait_until
from tests.helpers.small_project import ROOT, SMALL, environment, make_project, run, set_launcher
from tests.helpers.two_nodes import TwoNodes, two_nodes

pytestmark = [needs_proc, pytest.mark.slow]

KILLS = int(os.environ.get("MOFORE_KILLS", "2"))
VALUES: dict[str, object] = {
    "demo.clips": 2,
    "pretrain.epochs": 24,
    "pretrain.knn_every": 0,
    "supervised.epochs": 1,
    "runtime.checkpoint": 0.5,
}
STAGES = ("pretrain", "embed", "supervised")
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoNodes]:
    with two_nodes(tmp_path_factory.mktemp("nodes")) as nodes:
        yield nodes


@pytest.fixture(scope="module")
def project(nodes: TwoNodes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project; two processes on this machine have run it. Its launcher is now that of two nodes.

    Each node has one core, so that its process has as many threads as each of the two on one machine.
    """
    project = tmp_path_factory.mktemp("two_nodes") / "mofore"
    make_project(project, {**SMALL, **VALUES})
    set_launcher(project, "torchrun --standalone --nproc-per-node 2")
    run("taskset", "-c", f"{CORES[0]},{CORES[-1]}", "dvc", "repro", *STAGES, cwd=project)

    (script,) = re.findall(
        r"```bash\n(#!/bin/bash\nnodes=.*?)```", (ROOT / "docs/distributed.md").read_text(), re.DOTALL
    )
    (project / "nodes.sh").write_text(script.replace("--nproc-per-node gpu", "--nproc-per-node 1"))
    set_launcher(project, "bash nodes.sh")
    ssh = project.parent / "bin" / "ssh"  # enters the other node, where a login has a fresh environment
    ssh.parent.mkdir()
    shell = nodes.command("node2", "taskset", "-c", str(CORES[-1]), "bash", "-c")
    ssh.write_text(f'#!/bin/sh\nexec env -i PYTHONPATH={project} {shlex.join(shell)} "$2"\n')
    ssh.chmod(0o755)
    return project


def start(nodes: TwoNodes, project: Path, *command: str) -> "subprocess.Popen[str]":
    """Start a command on node1."""
    env = environment(project)
    env["PATH"] = f"{project.parent / 'bin'}{os.pathsep}{env['PATH']}"
    pinned = ("taskset", "-c", str(CORES[0]), *command)
    return nodes.start("node1", *pinned, cwd=project, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def outputs(project: Path) -> dict[str, list[object]]:
    """The hashes of all outputs of the stages."""
    stages = yaml.safe_load((project / "dvc.lock").read_text())["stages"]
    return {stage: [out["md5"] for out in stages[stage]["outs"] if "data/" in out["path"]] for stage in STAGES}


def test_two_nodes_make_the_same_as_two_processes(nodes: TwoNodes, project: Path) -> None:
    before = outputs(project)
    done = start(nodes, project, "dvc", "repro", "--force", "--single-item", *STAGES)
    text, _ = done.communicate(timeout=300)
    assert done.returncode == 0, text
    assert outputs(project) == before


@pytest.mark.parametrize("kill", range(KILLS))
def test_if_a_node_is_lost_the_other_ends_with_a_line_and_the_run_resumes(
    nodes: TwoNodes, project: Path, kill: int
) -> None:
    before = outputs(project)
    command = ("dvc", "repro", "--force", "--single-item", "pretrain")
    running = start(nodes, project, *command)
    wait_until(lambda: bool(list((project / ".scratch/pretrain").glob("*/last.pt"))))
    time.sleep(random.Random(kill).uniform(0, 1.5))
    lost, other = ("node2", "node1") if kill % 2 == 0 else ("node1", "node2")
    nodes.kill_all(lost)
    wait_until(lambda: not nodes.pids(other))
    text, _ = running.communicate()
    print(text)  # docs/distributed.md shows both
    assert running.returncode
    assert len(re.findall("^error: .*another process of this run, .*$", text, re.MULTILINE)) == 1, text
    again = start(nodes, project, *command)
    text, _ = again.communicate(timeout=300)
    print(text)
    assert again.returncode == 0, text
    assert "pretrain: resumed from step" in text
    assert outputs(project) == before
