"""The experiments of the current commit: their parameters, as DVC shows them, and their scores, as git holds them."""

import csv
import io
import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import yaml

from mofore.config import PARAMS_FILE
from mofore.errors import UserError

SCORES_FILE = "results/scores.csv"
SCORED = {  # what SCORES_FILE is made from, and the stage that writes it
    "results/pretrain.json": "pretrain",
    "results/linear.json": "linear",
    "results/knn.json": "knn",
    "results/forecast.json": "forecast",
}


@dataclass
class Run:
    """One experiment: its parameters by flat names, and its scores; no scores before it has ended well.

    Scores are called ROW.MEASURE, as `mofore.linear`, and have ROW.MEASURE_low and _high, their 95 % interval.
    """

    name: str
    params: dict[str, Any]
    scores: dict[str, float]
    state: str = "success"  # success | queued | running | failed


def read_runs() -> list[Run]:
    """The current commit, first, and those of its experiments that have scores.

    Raises:
        UserError: DVC fails.
    """
    return [run for run in read_experiments() if run.scores]


def read_experiments() -> list[Run]:
    """As `read_runs`, with experiments that failed, wait or run.

    Raises:
        UserError: DVC fails.
    """
    runs = []
    for rev, name, params, state in parse_experiments(json.loads(dvc("exp", "show", "--json"))):
        runs.append(Run(name, params, scores_of(rev) if state == "success" else {}, state))
    return runs


def dvc(*arguments: str) -> str:
    """Run a DVC command and return what it prints.

    Raises:
        UserError: it failed; gives DVC's reason.
    """
    done = subprocess.run([sys.executable, "-m", "dvc", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"dvc {' '.join(arguments[:2])}: {done.stderr.rpartition('ERROR: ')[2].strip()}")
    return done.stdout


def parse_experiments(shown: list[dict[str, Any]]) -> list[tuple[str, str, dict[str, Any], str]]:
    """Commit, name, parameters by flat names and state of what `dvc exp show --json` prints, without the workspace."""
    found = []
    for commit in shown:
        if commit["rev"] != "workspace":
            found.append((commit, "success"))
            for experiment in commit.get("experiments") or []:
                found.append((experiment["revs"][0], (experiment.get("executor") or {}).get("state", "success")))
    parsed = []
    for entry, state in found:
        data = entry.get("data") or {}
        params = (data.get("params") or {}).get(PARAMS_FILE, {}).get("data") or {}
        parsed.append((entry["rev"], entry.get("name") or entry["rev"][:7], flat(params), state))
    return parsed


def flat(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} as {"a.b": 1}."""
    found: dict[str, Any] = {}
    for name, value in nested.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return found


def scores_of(rev: str) -> dict[str, float]:
    """The scores in SCORES_FILE of a commit, by the names of `Run.scores`.

    None if the commit has no such file, or an old one: a run of `dvc exp run linear` does not write it anew.
    """
    table, lock = _committed(rev, SCORES_FILE), _committed(rev, "dvc.lock")
    if not table or not _of_this_run(yaml.safe_load(lock)):
        return {}
    scores: dict[str, float] = {}
    for line in csv.DictReader(io.StringIO(table)):
        ends = {"": line["score"], "_low": line["low"], "_high": line["high"]}
        scores |= {f"{line['row']}.{line['measure']}{end}": float(value) for end, value in ends.items() if value}
    return scores


def _of_this_run(lock: dict[str, Any]) -> bool:
    """Has stage `report` seen the results that the other stages have by `dvc.lock`?"""
    stages = lock["stages"]
    seen = {dep["path"]: dep["md5"] for dep in stages.get("report", {}).get("deps", [])}
    made = {out["path"]: out["md5"] for stage in set(SCORED.values()) for out in stages.get(stage, {}).get("outs", [])}
    return all(file in made and seen.get(file) == made[file] for file in SCORED)


def _committed(rev: str, file: str) -> str:
    """A file of a commit; empty if there is none."""
    done = subprocess.run(["git", "show", f"{rev}:./{file}"], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""
