"""Tables and figure of `objectives.py`: scores with confidence intervals, and MoFore's lead over each method.

A method's score is the mean over its seeds. For its 95 % interval, the hits of each test video are averaged over seeds,
and groups of test videos are resampled (`mofore.evaluation.bootstrap`). The lead is MoFore's score minus the method's
on the same videos, with the interval of that difference. The standard deviation over seeds is a separate column.

Shapes: N test videos, R runs (one per seed).
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.style import context
from objective_run import Point, Trained

from mofore.evaluation.bootstrap import group_interval
from mofore.report.style import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    PINK,
    RED,
    SOFT,
    STYLE,
    add_title,
    label_at_right,
    separate_labels,
)
from mofore.utils.files import writing

SCORES = {"linear": "linear top-1", "r_at_1": "R@1"}
BUDGETS = ("time", "clips")
UNTRAINED = "none"  # budget of controls, which are not trained; they are compared under both budgets
HOW_TO_READ = (
    "lines: equal time, its end with the 95 % interval over groups",
    "diamonds: equal number of clips; all are means over seeds",
)
LOOKS = {  # colour, line style, name
    "mofore": (BLUE, "-", "MoFore"),
    "simclr": (ORANGE, "-", "SimCLR"),
    "moco": (GREEN, "-", "MoCo"),
    "byol": (PINK, "-", "BYOL"),
    "videomae": (BLACK, "-", "VideoMAE"),
    "simclr_one": (ORANGE, "--", "SimCLR, one side"),
    "supervised": (SOFT, "--", "supervised"),
    "random_init": (SOFT, ":", "random weights"),
    "shipped": (BLUE, ":", "shipped, untouched"),
    "motion": (SOFT, ":", "hand-made motion"),
    "motion_appearance": (RED, ":", "motion + mean frame"),
    "metadata": (SOFT, ":", "metadata"),
}


def all_points(runs: list[Trained]) -> pd.DataFrame:
    """Tabulate every scoring of every run.

    Returns:
        Columns method, budget, seed, point (fraction of the budget), seconds, clips, clips_per_second and each of
        SCORES, 0 to 1.
    """
    rows = [
        {
            "method": run.job.method,
            "budget": run.job.budget,
            "seed": run.job.seed,
            "point": share,
            "seconds": point.seconds,
            "clips": point.clips,
            "clips_per_second": rate(point),
            **{score: float(np.mean(getattr(point, score))) for score in SCORES},
        }
        for run in runs
        for share, point in zip(run.job.points, run.points, strict=True)
    ]
    return pd.DataFrame(rows).sort_values(["budget", "method", "seed", "point"], ignore_index=True)


def summarise(runs: list[Trained]) -> pd.DataFrame:
    """Tabulate the scores at the end of the budget, one row per budget, score and method.

    Returns:
        Columns budget, score, method and seeds (how many). Medians over seeds: seconds, clips and clips_per_second.
        Clips per second of the slowest and the fastest seed: slowest and fastest; they are far apart if other work ran
        on the machine. The score: mean, low and high (95 % interval) and std (over seeds; NaN with one). If MoFore has
        this budget: lead, lead_low and lead_high (95 % interval) of MoFore over this method.
    """
    rows = []
    for budget in BUDGETS:
        if not any(run.job.budget == budget for run in runs):
            continue
        by_method: dict[str, list[Trained]] = {}
        for run in runs:
            if run.job.budget in (budget, UNTRAINED):
                by_method.setdefault(run.job.method, []).append(run)
        for score in SCORES:
            ours_N = mean_hits(by_method["mofore"], score) if "mofore" in by_method else None
            for method, own in by_method.items():
                hit_N, group_N = mean_hits(own, score), own[0].group
                last = [run.points[-1] for run in own]
                row: dict[str, Any] = {"budget": budget, "score": score, "method": method, "seeds": len(own)}
                row["seconds"] = float(np.median([point.seconds for point in last]))
                row["clips"] = round(float(np.median([point.clips for point in last])))
                rates = [rate(point) for point in last]
                row |= {"clips_per_second": float(np.median(rates)), "slowest": min(rates), "fastest": max(rates)}
                row |= zip(("mean", "low", "high"), group_interval(hit_N, group_N), strict=True)
                by_seed_R = [float(np.mean(getattr(point, score))) for point in last]
                row["std"] = float(np.std(by_seed_R, ddof=1)) if len(own) > 1 else float("nan")
                if ours_N is not None:
                    lead = group_interval(ours_N - hit_N, group_N)
                    row |= zip(("lead", "lead_low", "lead_high"), lead, strict=True)
                rows.append(row)
    return pd.DataFrame(rows)


def rate(point: Point) -> float:
    """Clips per second of training; NaN without training."""
    return point.clips / point.seconds if point.seconds else float("nan")


def mean_hits(runs: list[Trained], score: str) -> npt.NDArray[np.float64]:
    """Share of a method's runs that classify each test video correctly at the end of the budget, [N], 0 to 1."""
    assert all(run.video == runs[0].video for run in runs)
    hit_RN = np.array([getattr(run.points[-1], score) for run in runs], dtype=np.float64)
    return hit_RN.mean(axis=0)


def format_summary(summary: pd.DataFrame) -> str:
    """The summary as text for a terminal, best method first."""
    lines = []
    for budget in BUDGETS:
        in_budget = summary[summary["budget"] == budget]
        for score, name in SCORES.items():
            found = in_budget[in_budget["score"] == score].sort_values("mean", ascending=False)
            if found.empty:
                continue
            equal = "equal training time" if budget == "time" else "equal number of clips"
            lines += ["", f"{name}, {equal} (95 % interval over groups)"]
            for row in found.to_dict("records"):
                line = f"  {row['method']:12}{row['mean']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
                if row["seeds"] > 1:
                    line += f"   std of {row['seeds']} seeds {row['std']:.3f}"
                if row["clips"]:
                    line += (
                        f"   {row['seconds']:6.1f} s, {row['clips']:7,} clips, {row['clips_per_second']:6.1f} clips/s"
                    )
                    line += f" ({row['slowest']:.0f} to {row['fastest']:.0f} by seed)" if row["seeds"] > 1 else ""
                if row["method"] != "mofore" and "lead" in row:
                    line += f"   MoFore leads by {row['lead']:+.3f} ({row['lead_low']:+.3f} to {row['lead_high']:+.3f})"
                lines.append(line)
    return "\n".join(lines[1:])


def draw(points: pd.DataFrame, summary: pd.DataFrame, picture: Path) -> None:
    """Plot accuracy against training time into a PNG file: lines for equal time, diamonds for equal clips."""
    with context(["default", STYLE]):
        figure = Figure(figsize=(12, 5.2), dpi=120)
        FigureCanvasAgg(figure)
        figure.subplots_adjust(left=0.055, right=0.855, bottom=0.12, top=0.84, wspace=0.6)
        names = []
        for place, (score, name) in enumerate(SCORES.items(), start=1):
            ax = figure.add_subplot(1, 2, place)
            add_title(ax, name, HOW_TO_READ[place - 1])
            ends = draw_lines(ax, points, summary, score)
            ax.set_xscale("log", base=2)
            ax.xaxis.set_major_formatter("{x:g}")
            ax.set(xlabel="seconds of training", ylabel="share of test videos", ylim=(0, 1.08))
            names.append([label_at_right(ax, y, LOOKS[method][2], LOOKS[method][0]) for method, y in ends.items()])
        figure.draw_without_rendering()
        for panel in names:
            separate_labels(panel)
        with writing(picture) as file:
            figure.savefig(file, format="png", metadata={"Software": None})


def draw_lines(ax: Axes, points: pd.DataFrame, summary: pd.DataFrame, score: str) -> dict[str, float]:
    """Draw one panel; return the score at the end of each method's line."""
    ends: dict[str, float] = {}
    for method, (colour, dashes, _) in LOOKS.items():
        own = points[points["method"] == method]
        if (own["budget"] == UNTRAINED).any():
            ends[method] = float(own[score].mean())
            ax.axhline(ends[method], color=colour, linestyle=dashes, linewidth=1)
            continue
        curve = own[own["budget"] == "time"].groupby("point")[["seconds", score]].mean()
        at_clips = own[own["budget"] == "clips"].groupby("point")[["seconds", score]].mean()
        ax.plot(
            at_clips["seconds"], at_clips[score], "D", color=colour, markerfacecolor="white", markersize=6, zorder=3
        )
        if curve.empty:
            continue
        ax.plot(curve["seconds"], curve[score], dashes, color=colour, marker="o")
        row = summary.query("budget == 'time' and score == @score and method == @method").iloc[0]
        ax.plot([curve["seconds"].iloc[-1]] * 2, [row["low"], row["high"]], color=colour, linewidth=1, alpha=0.6)
        ends[method] = float(curve[score].iloc[-1])
    return ends
