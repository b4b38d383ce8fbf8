"""Two experiments of DVC's queue that need the same pretraining: one trains, the other waits and takes the encoder."""

from pathlib import Path

import pytest
import yaml

from tests.helpers.processes import wait_until
from tests.helpers.small_project import SMALL, commit, make_project, run

pytestmark = pytest.mark.slow


def test_what_two_queued_runs_need_is_trained_once(tmp_path: Path) -> None:
    project = tmp_path / "mofore"
    make_project(project, {**SMALL, "pretrain.epochs": 8})
    run("dvc", "repro", "extract_frames", "manifest", cwd=project)
    commit(project)
    for number in (1, 2):
        run("dvc", "exp", "run", "--queue", "-n", f"run-{number}", "-S", f"knn.k={number}", "knn", cwd=project)
    run("dvc", "queue", "start", "-j", "2", cwd=project)
    wait_until(lambda: run("dvc", "queue", "status", cwd=project).stdout.count("Success") == 2, 600)
    logs = [run("dvc", "queue", "logs", f"run-{number}", cwd=project).stdout for number in (1, 2)]
    assert sum("another run is running stage pretrain" in log for log in logs) == 1, logs
    assert sum("pretrain: resumed from step" in log for log in logs) == 1, logs
    listed = run("git", "for-each-ref", "--format=%(refname)", "refs/exps", cwd=project).stdout.split()
    encoders = [
        yaml.safe_load(run("git", "show", f"{ref}:dvc.lock", cwd=project).stdout)["stages"]["pretrain"]["outs"][0]
        for ref in listed
        if ref.endswith(("/run-1", "/run-2"))
    ]
    assert len(encoders) == 2
    assert encoders[0] == encoders[1]
