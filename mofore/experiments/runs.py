"""Read the DVC experiments of the current commit: parameters from `dvc exp show`, scores from their git commits."""

import csv
import io
import json
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import yaml

from mofore.config import PARAMS_FILE
from mofore.errors import UserError
from mofore.experiments.lock import LOCK_FILE, read_committed, stage_is_current

COMMIT = "commit"  # state of the current commit
ATTEMPTS = 4  # to read the experiments while others run
SCORES_FILE = "results/scores.csv"
WRITERS = {  # the stage that writes each of the results from which stage `report` makes SCORES_FILE
    "results/pretrain.json": "pretrain",
    "results/linear.json": "linear",
    "results/knn.json": "knn",
    "results/forecast.json": "forecast",
}


@dataclass
class Run:
    """One experiment.

    Attributes:
        name: its name in DVC.
        params: its parameters by flat names, such as `forecast.gap_max`.
        scores: scores by name, ROW.MEASURE, such as `mofore.linear`. ROW.MEASURE_low and ROW.MEASURE_high are the ends
            of the 95 % interval, where the score has one. Empty unless the experiment has succeeded; of the current
            commit also empty if its code or parameters have changed since its results were made.
        state: "success", "queued", "running" or "failed"; COMMIT of the current commit itself, which is no
            experiment: its results may be of older code, and DVC may not have their data.
        rev: its git commit.
    """

    name: str
    params: dict[str, Any]
    scores: dict[str, float]
    state: str = "success"
    rev: str = ""


def read_experiments() -> list[Run]:
    """The current commit, then all its experiments, also those that failed, are queued or are running.

    Raises:
        UserError: DVC fails.
    """
    runs = []
    for rev, name, params, state in parse_experiments(json.loads(_show())):
        has_scores = state == "success" or (state == COMMIT and stage_is_current(rev, "report"))
        runs.append(Run(name, params, read_scores(rev) if has_scores else {}, state, rev))
    return runs


def _show() -> str:
    """What `dvc exp show` prints. It fails if an experiment ends while its folder is read; so try again."""
    for _ in range(ATTEMPTS - 1):
        with suppress(UserError):
            return dvc("exp", "show", "--json")
    return dvc("exp", "show", "--json")


def dvc(*arguments: str) -> str:
    """Run a DVC command and return its standard output.

    Raises:
        UserError: the command failed; the message has DVC's reason.
    """
    done = subprocess.run([sys.executable, "-m", "dvc", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"dvc {' '.join(arguments[:2])}: {done.stderr.rpartition('ERROR: ')[2].strip()}")
    return done.stdout


def parse_experiments(shown: list[dict[str, Any]]) -> list[tuple[str, str, dict[str, Any], str]]:
    """Parse the output of `dvc exp show --json`: revision, name, flat parameters and state; without the workspace."""
    found = []
    for commit in shown:
        if commit["rev"] != "workspace":
            found.append((commit, COMMIT))
            for experiment in commit.get("experiments") or []:
                found.append((experiment["revs"][0], (experiment.get("executor") or {}).get("state", "success")))
    parsed = []
    for entry, state in found:
        data = entry.get("data") or {}
        params = (data.get("params") or {}).get(PARAMS_FILE, {}).get("data") or {}
        parsed.append((entry["rev"], entry.get("name") or entry["rev"][:7], flatten(params), state))
    return parsed


def flatten(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} as {"a.b": 1}."""
    found: dict[str, Any] = {}
    for name, value in nested.items():
        found |= flatten(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return found


def read_scores(rev: str) -> dict[str, float]:
    """The scores in SCORES_FILE of a commit, by name as in `Run.scores`.

    Empty if the commit lacks the file or has an outdated one: `dvc exp run linear` computes scores, but does not run
    stage `report`, which writes the file.
    """
    table, lock = read_committed(rev, SCORES_FILE), read_committed(rev, LOCK_FILE)
    if not table or not _scores_are_current(yaml.safe_load(lock)):
        return {}
    scores: dict[str, float] = {}
    for line in csv.DictReader(io.StringIO(table)):
        ends = {"": line["score"], "_low": line["low"], "_high": line["high"]}
        scores |= {f"{line['row']}.{line['measure']}{end}": float(value) for end, value in ends.items() if value}
    return scores


def _scores_are_current(lock: dict[str, Any]) -> bool:
    """Whether stage `report` read the same results as the other stages wrote, according to `dvc.lock`."""
    stages = lock["stages"]
    read = {dep["path"]: dep["md5"] for dep in stages.get("report", {}).get("deps", [])}
    written = {
        out["path"]: out["md5"] for stage in set(WRITERS.values()) for out in stages.get(stage, {}).get("outs", [])
    }
    return all(file in written and read.get(file) == written[file] for file in WRITERS)
