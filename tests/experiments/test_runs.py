"""Experiments are parsed from the output of DVC, and their scores are read from their commits."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from mofore.errors import UserError
from mofore.experiments import runs
from mofore.experiments.runs import ATTEMPTS, COMMIT, WRITERS, flatten, parse_experiments, read_experiments, read_scores

TABLE = "row,measure,score,low,high\nmofore,linear,0.5,0.4,0.6\nmofore,effective_rank,41.5,,\n"
SCORES = {"mofore.linear": 0.5, "mofore.linear_low": 0.4, "mofore.linear_high": 0.6, "mofore.effective_rank": 41.5}


def experiment(name: str, gap: int) -> dict[str, Any]:
    params = {"params.yaml": {"data": {"forecast": {"gap_max": gap}}}}
    return {"rev": f"rev-{name}", "name": name, "data": {"params": params}, "error": None}


def test_the_workspace_is_left_out_and_failed_experiments_have_no_scores(monkeypatch: pytest.MonkeyPatch) -> None:
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
    with_scores = {"rev-main", "rev-ours", "rev-older", "rev-stopped"}  # the commit of a failed run has older scores
    monkeypatch.setattr(runs, "dvc", lambda *arguments: json.dumps(shown))
    monkeypatch.setattr(runs, "read_scores", lambda rev: SCORES if rev in with_scores else {})
    monkeypatch.setattr(runs, "stage_is_current", lambda rev, stage: True)
    experiments = read_experiments()
    assert experiments[0].name == "main", "the current commit comes first"
    found = [run for run in experiments if run.scores]
    assert [one.name for one in found] == ["main", "ours", "older"]
    assert found[1].params == {"forecast.gap_max": 16}
    assert found[1].scores == SCORES
    assert [state for _, _, _, state in parse_experiments(shown)[:4]] == [COMMIT, *states.values()]


@pytest.mark.parametrize(("failures", "read"), [(1, True), (ATTEMPTS - 1, True), (ATTEMPTS, False)])
def test_an_experiment_that_ends_meanwhile_does_not_stop_the_command(
    failures: int, read: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = UserError("dvc exp show: failed to show experiments - directory '/tmp/exps/x/.dvc' does not exist")
    answers = iter([lost] * failures + [json.dumps([experiment("main", 48)])])

    def dvc(*_: str) -> str:
        answer = next(answers)
        if isinstance(answer, UserError):
            raise answer
        return answer

    monkeypatch.setattr(runs, "dvc", dvc)
    monkeypatch.setattr(runs, "read_scores", lambda _: SCORES)
    monkeypatch.setattr(runs, "stage_is_current", lambda rev, stage: True)
    if read:
        assert [run.name for run in read_experiments()] == ["main"]
    else:
        with pytest.raises(UserError, match="does not exist"):
            read_experiments()


def test_nested_sections_become_flat_names() -> None:
    assert flatten({"a": {"b": {"c": 1}}, "d": 2}) == {"a.b.c": 1, "d": 2}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in a subfolder of a git repository that has no commit yet."""
    project = tmp_path / "project"
    (project / "results").mkdir(parents=True)
    monkeypatch.chdir(project)
    git("init", "-q")
    return project


def git(*arguments: str) -> str:
    command = ["git", "-c", "user.email=test@example.org", "-c", "user.name=Test", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def commit(project: Path, seen: dict[str, str]) -> str:
    """Commit scores and a lock in which stage `report` read files with hashes `seen`; the other stages wrote `new`."""
    (project / "results/scores.csv").write_text(TABLE)
    stages: dict[str, Any] = {stage: {"outs": [{"path": file, "md5": "new"}]} for file, stage in WRITERS.items()}
    stages["report"] = {"deps": [{"path": file, "md5": md5} for file, md5 in seen.items()]}
    (project / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
    git("add", "-A")
    git("commit", "-qm", "run", "--allow-empty")
    return git("rev-parse", "HEAD")


def test_scores_come_from_the_commit_and_not_the_workspace(repository: Path) -> None:
    rev = commit(repository, dict.fromkeys(WRITERS, "new"))
    (repository / "results/scores.csv").write_text("of the workspace")
    assert read_scores(rev) == SCORES


@pytest.mark.parametrize("file", WRITERS)
def test_scores_of_an_earlier_run_do_not_count(repository: Path, file: str) -> None:
    """`dvc exp run linear` trains and scores again, but does not rewrite the file of scores."""
    rev = commit(repository, dict.fromkeys(WRITERS, "new") | {file: "old"})
    assert read_scores(rev) == {}


def test_a_commit_without_results_has_no_scores(repository: Path) -> None:
    git("commit", "-qm", "empty", "--allow-empty")
    assert read_scores(git("rev-parse", "HEAD")) == {}
