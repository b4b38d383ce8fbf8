"""Experiments as DVC shows them, and their scores as their commits hold them."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from mofore.experiments import runs
from mofore.experiments.runs import SCORED, flat, parse_experiments, read_runs, scores_of

TABLE = "row,measure,score,low,high\nmofore,linear,0.5,0.4,0.6\nmofore,effective_rank,41.5,,\n"
SCORES = {"mofore.linear": 0.5, "mofore.linear_low": 0.4, "mofore.linear_high": 0.6, "mofore.effective_rank": 41.5}


def experiment(name: str, gap: int) -> dict[str, Any]:
    params = {"params.yaml": {"data": {"forecast": {"gap_max": gap}}}}
    return {"rev": f"rev-{name}", "name": name, "data": {"params": params}, "error": None}


def test_what_dvc_shows_is_read_without_the_workspace_and_without_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    commit = experiment("main", 48)
    states = {"ours": "success", "stopped": "failed", "at work": "running"}
    commit["experiments"] = [
        {"revs": [experiment(name, 16)], "executor": {"state": state}} for name, state in states.items()
    ]
    commit["experiments"] += [
        {"revs": [experiment("older", 16)], "executor": None},
        {"revs": [experiment("without scores", 8)]},
        {"revs": [{"rev": "abc", "name": "lost", "data": None, "error": {"msg": "x"}}]},
    ]
    shown = [experiment("", 99) | {"rev": "workspace"}, commit]
    with_scores = {"rev-main", "rev-ours", "rev-older", "rev-stopped"}  # a failed run's commit has the scores before it
    monkeypatch.setattr(runs, "dvc", lambda *arguments: json.dumps(shown))
    monkeypatch.setattr(runs, "scores_of", lambda rev: SCORES if rev in with_scores else {})
    found = read_runs()
    assert [one.name for one in found] == ["main", "ours", "older"]
    assert found[1].params == {"forecast.gap_max": 16}
    assert found[1].scores == SCORES
    assert [state for _, _, _, state in parse_experiments(shown)[1:4]] == list(states.values())


def test_nested_sections_become_flat_names() -> None:
    assert flat({"a": {"b": {"c": 1}}, "d": 2}) == {"a.b.c": 1, "d": 2}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in a sub-folder of a git repository without a commit."""
    project = tmp_path / "project"
    (project / "results").mkdir(parents=True)
    monkeypatch.chdir(project)
    git("init", "-q")
    return project


def git(*arguments: str) -> str:
    command = ["git", "-c", "user.email=test@example.org", "-c", "user.name=Test", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def commit(project: Path, seen: dict[str, str]) -> str:
    """Commit scores and a lock in which stage `report` has seen files of these hashes; the others have made `new`."""
    (project / "results/scores.csv").write_text(TABLE)
    stages: dict[str, Any] = {stage: {"outs": [{"path": file, "md5": "new"}]} for file, stage in SCORED.items()}
    stages["report"] = {"deps": [{"path": file, "md5": md5} for file, md5 in seen.items()]}
    (project / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
    git("add", "-A")
    git("commit", "-qm", "run", "--allow-empty")
    return git("rev-parse", "HEAD")


def test_scores_are_those_of_the_commit(repository: Path) -> None:
    rev = commit(repository, dict.fromkeys(SCORED, "new"))
    (repository / "results/scores.csv").write_text("of the workspace")
    assert scores_of(rev) == SCORES


@pytest.mark.parametrize("file", SCORED)
def test_scores_of_an_earlier_run_do_not_count(repository: Path, file: str) -> None:
    """`dvc exp run linear` trains and scores anew, but leaves the file of scores as it was."""
    rev = commit(repository, dict.fromkeys(SCORED, "new") | {file: "old"})
    assert scores_of(rev) == {}


def test_a_commit_without_results_has_no_scores(repository: Path) -> None:
    git("commit", "-qm", "empty", "--allow-empty")
    assert scores_of(git("rev-parse", "HEAD")) == {}
