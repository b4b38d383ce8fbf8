"""Tabulate and plot scores against one parameter: `mofore sweep forecast.gap_max`.

The runs are the current commit and those of its experiments that differ from it only in this parameter, `seed`,
`data.split` or section `runtime`. If the current commit has no up-to-date scores, the first experiment that has them
takes its place, and a message says so. Scores are averaged over seeds and splits. With `data.split` as the parameter,
each split of UCF101 has a mean of its own.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mofore.config import PARAMS_FILE
from mofore.errors import UserError, run_stage
from mofore.experiments.runs import Run, read_experiments
from mofore.report.style import BLUE, RED
from mofore.utils.files import write_csv, writing
from mofore.utils.text import counted

FOLDER = Path("sweeps")
REPEATS = ("seed", "data.split")  # runs that differ only in these are averaged
SCORES = {"linear": ("linear top-1", BLUE), "r_at_1": ("retrieval R@1", RED)}  # title and colour
ROWS = {"mofore": "-", "random_init": "--"}  # line styles


def comparable_runs(runs: list[Run], key: str) -> list[Run]:
    """The runs that differ from the first one only in `key`, in REPEATS and in section `runtime`.

    Raises:
        UserError: the first run has no parameter `key`.
    """
    first = runs[0].params
    if key not in first:
        raise UserError(
            f"{PARAMS_FILE}: no parameter '{key}': write it as in `dvc exp run -S`, for example forecast.gap_max"
        )

    def fixed(run: Run) -> dict[str, Any]:
        free = {key, *REPEATS}
        return {name: v for name, v in run.params.items() if name not in free and not name.startswith("runtime.")}

    return [run for run in runs if fixed(run) == fixed(runs[0])]


def summarise(runs: list[Run], key: str) -> pd.DataFrame:
    """Tabulate scores, one row for each score, row of ROWS and value of `key`.

    Returns:
        Columns `key`, row, score, runs (how many), mean and std over the runs (sample standard deviation; NaN with one
        run), low and high (ends of the 95 % interval over test groups, averaged over the runs). The interval covers the
        choice of test videos, not the differences between runs.
    """
    lines = []
    values = sorted({run.params[key] for run in runs}, key=lambda value: (isinstance(value, str), value))
    for score, (title, _) in SCORES.items():
        for row in ROWS:
            name = f"{row}.{score}"
            for value in values:
                own = [run.scores for run in runs if run.params[key] == value and name in run.scores]
                if own:
                    mean, low, high = (np.mean([s[f"{name}{end}"] for s in own]) for end in ("", "_low", "_high"))
                    std = pd.Series([s[name] for s in own]).std()
                    lines.append((value, row, title, len(own), mean, std, low, high))
    return pd.DataFrame(lines, columns=[key, "row", "score", "runs", "mean", "std", "low", "high"])


def draw(table: pd.DataFrame, runs: list[Run], key: str, picture: Path) -> None:
    """Draw means with their intervals, and each run as a dot, into a PNG file."""
    figure = Figure(figsize=(8, 5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    ax = figure.add_subplot()
    values = list(dict.fromkeys(table[key]))
    at = {value: i for i, value in enumerate(values)}  # evenly spaced: values are often 8, 16, 32, ..., or words
    for score, (title, colour) in SCORES.items():
        for row, dashes in ROWS.items():
            line = table[(table["row"] == row) & (table["score"] == title)]
            if line.empty:
                continue
            x = line[key].map(at)
            ax.plot(x, line["mean"], dashes, color=colour, label=f"{title}, {row}")
            ax.fill_between(x, line["low"], line["high"], color=colour, alpha=0.12 if row == "mofore" else 0.05, lw=0)
            dots = [(at[run.params[key]], run.scores.get(f"{row}.{score}")) for run in runs]
            ax.plot(*zip(*[dot for dot in dots if dot[1] is not None], strict=True), "o", color=colour, ms=4, alpha=0.7)
    ax.set_xticks(range(len(values)), [str(value) for value in values])
    ax.set(xlabel=key, ylabel="share of test videos", ylim=(0, 1))
    ax.set_title("Mean of the runs (dots) and its 95 % interval over test groups", loc="left", fontsize=10)
    ax.grid(axis="y", color="#e8ebee")
    ax.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    with writing(picture) as file:
        figure.savefig(file, format="png", metadata={"Software": None})


def sweep(key: str) -> None:
    """Read the experiments, write `sweeps/KEY.csv` and `sweeps/KEY.png`, and print the table.

    Raises:
        UserError: DVC fails, there is no such parameter, or no run has scores.
    """
    experiments = read_experiments()  # the first is the current commit
    found = [run for run in experiments if run.scores]
    if not found:
        raise UserError("dvc exp show: no run has scores: run `dvc repro` and commit the results, or run `dvc exp run`")
    runs = comparable_runs(found, key)
    table = summarise(runs, key)
    if table.empty:
        raise UserError("results/linear.json: no run has these scores: they need labelled videos")
    write_csv(FOLDER / f"{key}.csv", table, "%.6g")
    draw(table, runs, key, FOLDER / f"{key}.png")
    print(table.to_string(index=False, float_format="{:.3f}".format, na_rep=""))
    reference = found[0].name
    if not experiments[0].scores:
        print(f"sweep: commit {experiments[0].name} has no up-to-date scores: experiment {reference} is the reference")
    left_out = len(found) - len(runs)
    also = f"; left out {counted(left_out, 'run')} with other changes than {reference}" if left_out else ""
    print(f"sweep: {counted(len(runs), 'run')}{also}; see {FOLDER}/{key}.csv and .png")


def main() -> None:
    """Run `sweep` with the word of the command line."""
    if len(sys.argv) != 2:
        raise UserError("usage: mofore sweep KEY, for example forecast.gap_max")
    sweep(sys.argv[1])


if __name__ == "__main__":
    run_stage(main)
