"""One parameter's effect, over the experiments at hand: `python -m mofore.experiments.sweep forecast.gap_max`.

Prints a table and draws a figure: the scores against the values of one parameter. Counted are the current commit and
its experiments, as far as they differ from it in this parameter alone, and in `seed` and `data.split`, over whose
values scores are averaged: three seeds, or the three splits of UCF101 (`python -m mofore.experiments.sweep
data.split`).
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mofore.config import PARAMS_FILE
from mofore.errors import UserError, run_stage
from mofore.report.style import BLUE, RED
from mofore.utils.files import write_csv, writing
from mofore.utils.text import counted

FOLDER = Path("sweeps")
REPEATS = ("seed", "data.split")  # what may differ between runs that are averaged
SCORES = {  # file and score of a row; what it is called; its colour
    ("results/linear.json", "top1"): ("linear top-1", BLUE),
    ("results/knn.json", "r_at_1"): ("retrieval R@1", RED),
}
ROWS = {"mofore": "-", "random_init": "--"}  # and how their lines are drawn


@dataclass
class Run:
    """One experiment: its parameters and scores, by flat names; no scores before it has ended well."""

    name: str
    params: dict[str, Any]
    scores: dict[str, float]
    state: str = "success"  # success | queued | running | failed


def read_runs() -> list[Run]:
    """The current commit, first, and its experiments, those that failed or wait left out.

    Raises:
        UserError: DVC cannot tell.
    """
    return [run for run in read_experiments() if run.scores]


def read_experiments() -> list[Run]:
    """As `read_runs`, with those that failed or wait."""
    return parse_experiments(json.loads(dvc("exp", "show", "--json")))


def dvc(*arguments: str) -> str:
    """Run a DVC command.

    Returns:
        What it prints.

    Raises:
        UserError: it failed; says why, in DVC's words.
    """
    done = subprocess.run([sys.executable, "-m", "dvc", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"dvc {' '.join(arguments[:2])}: {done.stderr.rpartition('ERROR: ')[2].strip()}")
    return done.stdout


def parse_experiments(shown: list[dict[str, Any]]) -> list[Run]:
    """As `read_experiments`, of what `dvc exp show --json` prints."""
    found = []
    for commit in shown:
        if commit["rev"] != "workspace":
            found.append((commit, "success"))
            for experiment in commit.get("experiments") or []:
                found.append((experiment["revs"][0], (experiment.get("executor") or {}).get("state", "success")))
    runs = []
    for entry, state in found:
        data = entry.get("data") or {}
        params = (data.get("params") or {}).get(PARAMS_FILE, {}).get("data") or {}
        scores: dict[str, float] = {}
        if state == "success":  # until then, and after a failure, DVC shows the commit's scores, which git holds
            for path, held in (data.get("metrics") or {}).items():
                scores |= {f"{path}:{name}": value for name, value in flat(held.get("data") or {}).items()}
        runs.append(Run(entry.get("name") or entry["rev"][:7], flat(params), scores, state))
    return runs


def flat(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} as {"a.b": 1}."""
    found: dict[str, Any] = {}
    for name, value in nested.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return found


def comparable(runs: list[Run], key: str) -> list[Run]:
    """The runs that differ from the first in `key`, REPEATS and the machine's settings alone.

    Raises:
        UserError: the first has no such parameter.
    """
    first = runs[0].params
    if key not in first:
        raise UserError(f"{PARAMS_FILE}: no parameter '{key}': name one as in -S, forecast.gap_max for one")

    def fixed(run: Run) -> dict[str, Any]:
        free = {key, *REPEATS}
        return {name: v for name, v in run.params.items() if name not in free and not name.startswith("runtime.")}

    return [run for run in runs if fixed(run) == fixed(runs[0])]


def summarise(runs: list[Run], key: str) -> pd.DataFrame:
    """Scores by value of `key`: one line a value, row and score.

    Returns:
        Columns key, row, score, runs (how many), mean, std (over the runs), low, high (95 % interval over test groups,
        mean over the runs: what one run's test videos leave open).
    """
    lines = []
    values = sorted({run.params[key] for run in runs}, key=lambda value: (isinstance(value, str), value))
    for (path, score), (title, _) in SCORES.items():
        for row in ROWS:
            name = f"{path}:{row}.{score}"
            for value in values:
                own = [run.scores for run in runs if run.params[key] == value and name in run.scores]
                if own:
                    mean, low, high = (np.mean([s[f"{name}{end}"] for s in own]) for end in ("", "_low", "_high"))
                    std = np.std([s[name] for s in own])
                    lines.append((value, row, title, len(own), mean, std, low, high))
    return pd.DataFrame(lines, columns=[key, "row", "score", "runs", "mean", "std", "low", "high"])


def draw(table: pd.DataFrame, runs: list[Run], key: str, picture: Path) -> None:
    """Draw the means with their intervals, and each run as a dot. PNG."""
    figure = Figure(figsize=(8, 5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    ax = figure.add_subplot()
    values = list(dict.fromkeys(table[key]))
    at = {value: place for place, value in enumerate(values)}  # evenly spaced: sweeps are often 8, 16, 32, words, ...
    for (path, score), (title, colour) in SCORES.items():
        for row, dashes in ROWS.items():
            line = table[(table["row"] == row) & (table["score"] == title)]
            if line.empty:
                continue
            x = line[key].map(at)
            ax.plot(x, line["mean"], dashes, color=colour, label=f"{title}, {row}")
            ax.fill_between(x, line["low"], line["high"], color=colour, alpha=0.12 if row == "mofore" else 0.05, lw=0)
            dots = [(at[run.params[key]], run.scores.get(f"{path}:{row}.{score}")) for run in runs]
            ax.plot(*zip(*[dot for dot in dots if dot[1] is not None], strict=True), "o", color=colour, ms=4, alpha=0.7)
    ax.set_xticks(range(len(values)), [str(value) for value in values])
    ax.set(xlabel=key, ylabel="share of test videos", ylim=(0, 1))
    ax.set_title("Mean of the runs (dots) and its 95 % interval over test groups", loc="left", fontsize=10)
    ax.grid(axis="y", color="#e8ebee")
    ax.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    with writing(picture) as file:
        figure.savefig(file, format="png", metadata={"Software": None})


def main() -> None:
    """Read the experiments, write `sweeps/KEY.csv` and `.png`, print the table."""
    if len(sys.argv) != 2:
        raise UserError("usage: python -m mofore.experiments.sweep KEY, forecast.gap_max for one")
    key = sys.argv[1]
    found = read_runs()
    if not found:
        raise UserError("dvc exp show: no run with scores: run `dvc repro` and commit, or `dvc exp run`")
    runs = comparable(found, key)
    table = summarise(runs, key)
    if table.empty:
        raise UserError("results/linear.json: no scores in any run: they need labelled videos")
    write_csv(FOLDER / f"{key}.csv", table, "%.6g")
    draw(table, runs, key, FOLDER / f"{key}.png")
    print(table.to_string(index=False, float_format="{:.3f}".format))
    left_out = len(found) - len(runs)
    also = f"; left out {counted(left_out, 'run')} with other changes as well" if left_out else ""
    print(f"sweep: {counted(len(runs), 'run')}{also}; see {FOLDER}/{key}.csv and .png")


if __name__ == "__main__":
    run_stage(main)
