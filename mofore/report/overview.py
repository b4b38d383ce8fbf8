"""Draw the overview picture: the main results of a run in one figure.

Shapes: N videos.
"""

import json
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.text import Text

from mofore.report.decide import Answer, decide, weakest
from mofore.report.fonts import families, legible
from mofore.report.style import (
    BLACK,
    BLUE,
    ENCODER_COLOURS,
    GREEN,
    INK,
    PINK,
    RED,
    SOFT,
    STYLE,
    add_title,
    class_style,
    darker,
    draw_line,
    label_at_right,
    label_lines,
    separate_labels,
    shade_confusion,
    shorten,
    show_message,
)
from mofore.utils.files import writing
from mofore.utils.tables import read_table

SKILL_LINES = {
    "against persistence": (BLUE, "-"),
    "against climatology": (GREEN, "-"),
    "against persistence, with a shuffled gap": (RED, "--"),
}
PAIR_DASHES = {
    "same video": "-",
    "same class": (0, (5, 2)),
    "other class": (0, (1, 1.5)),
    "other videos": (0, (1, 1.5)),
}

NOTES: dict[Answer, str] = {"yes": "", "no": "\nbeats mofore", "not clear": "\nno clear lead"}
MAX_NAMED_CLASSES = 24  # names that can be read in one panel

NO_LABELS = (
    "no labels on both sides of the split:\nput videos into one folder per class,\nor add videos.csv with labels"
)

# Left, bottom, width and height of each panel, as shares of the picture. They are fixed because matplotlib's layout
# engine fails with many labels beside the charts.
PANELS = {
    "skill": (0.055, 0.555, 0.235, 0.325),
    "scores": (0.515, 0.555, 0.135, 0.325),
    "stability": (0.765, 0.555, 0.11, 0.325),
    "map": (0.012, 0.075, 0.275, 0.34),
    "confusion": (0.385, 0.115, 0.25, 0.3),
    "losses": (0.72, 0.33, 0.15, 0.085),
    "rank": (0.72, 0.215, 0.15, 0.085),
    "shares": (0.72, 0.1, 0.15, 0.085),
}


def draw_overview(results: Path, picture: Path) -> None:
    """Draw forecast skill, scores and controls, temporal stability, embedding map, confusion matrix and training.

    Args:
        results: folder with `pretrain.csv`, `forecast.csv`, `temporal.csv`, `map.csv`, `confusion.csv`,
            `linear.json` and `knn.json`. If a table has no rows, its panel says why.
        picture: PNG file to write, 1600x1000 pixels. The same results give the same bytes.
    """
    labels = read_table(results / "map.csv")["label"]
    with matplotlib.style.context(["default", STYLE, {"font.family": families(labels)}]):
        figure = compose(results)
        with writing(picture) as file:
            figure.savefig(file, format="png", metadata={"Software": None})


def compose(results: Path) -> Figure:
    """Compose the figure of `draw_overview`. Call this and save the figure within the context of STYLE."""
    pretrain, forecast, temporal, points, confusion = (
        read_table(results / f"{name}.csv") for name in ("pretrain", "forecast", "temporal", "map", "confusion")
    )
    linear, knn = (json.loads((results / f"{name}.json").read_text("utf-8")) for name in ("linear", "knn"))
    figure = Figure(figsize=(16, 10), dpi=100)
    FigureCanvasAgg(figure)
    figure.suptitle(_headline(points, linear, knn), x=0.012, y=0.985, ha="left", fontsize=15, fontweight="bold")
    axes = {name: figure.add_axes(rectangle) for name, rectangle in PANELS.items()}
    names = _draw_skill(axes["skill"], forecast)
    _draw_scores(axes["scores"], linear, knn)
    names += _draw_similarity(axes["stability"], temporal)
    names += _draw_map(axes["map"], points)
    _draw_confusion(axes["confusion"], confusion)
    names += _draw_training(axes["losses"], axes["rank"], axes["shares"], pretrain)
    figure.draw_without_rendering()  # computes the extents of the labels
    separate_labels(names)
    return figure


def _headline(points: pd.DataFrame, linear: dict[str, Any], knn: dict[str, Any]) -> str:
    head = f"MoFore: {len(points)} {'test ' if (points['split'] == 'test').all() else ''}videos"
    if not linear["mofore"]:
        return f"{head}, no labels to score with"
    scores = [
        f"{name} {parts['mofore'][key]:.2f} (random init {parts['random_init'][key]:.2f})"
        for name, parts, key in (("linear top-1", linear, "top1"), ("retrieval R@1", knn, "r_at_1"))
    ]
    return "   |   ".join([f"{head}, {len(_classes(points))} classes", *scores])


def _classes(points: pd.DataFrame) -> list[str]:
    return sorted(set(points["label"]) - {""})


def _draw_skill(ax: Axes, forecast: pd.DataFrame) -> list[Text]:
    add_title(
        ax,
        "Forecast skill",
        "1: a perfect forecast; bands: 95 % intervals; hollow dots: gaps that training did not have",
    )
    if forecast.empty:
        return show_message(ax, "no video has room for a context and a future")
    ax.axhline(0, color=INK, linewidth=2.2)
    names = [(0.0, "no better than\nthe reference", INK)]
    for name, points in forecast.groupby("series", sort=False):
        colour, dashes = SKILL_LINES[str(name)]
        draw_line(ax, points["gap"], points["skill"], colour, dashes, band=points if dashes == "-" else None)
        untrained = points[points["trained"] == "False"]
        ax.plot(
            untrained["gap"],
            untrained["skill"],
            "o",
            color=colour,
            markerfacecolor="white",
            markersize=6,
            clip_on=False,
        )
        names.append((points["skill"].iloc[-1], str(name).replace(", ", ",\n"), colour))
    ax.set(xlabel="gap between context and future (video frames)", ylabel="skill")
    return label_lines(ax, names)


def _draw_scores(ax: Axes, linear: dict[str, Any], knn: dict[str, Any]) -> None:
    if not linear["mofore"]:
        add_title(ax, "Scores beside their controls", "")
        show_message(ax, NO_LABELS)
        return
    add_title(ax, "Scores beside their controls", "filled: linear top-1; hollow: retrieval R@1; bars: 95 %")
    for index, row in enumerate(linear):
        colour = ENCODER_COLOURS.get(row, SOFT)
        for scores, key, shift, face in ((linear[row], "top1", -0.16, colour), (knn[row], "r_at_1", 0.16, "white")):
            y = index + shift
            ax.plot([scores[f"{key}_low"], scores[f"{key}_high"]], [y, y], color=colour)
            ax.plot(scores[key], y, "o", color=colour, markersize=7, markerfacecolor=face, markeredgewidth=1.8)
        note, is_fault = _note(row, linear[row], knn[row])
        label_at_right(
            ax, index, f"{linear[row]['top1']:.2f}  {knn[row]['r_at_1']:.2f}{note}", RED if is_fault else INK
        )
    ax.set(xlabel="share of test videos", xlim=(0, 1.01), ylim=(len(linear) - 0.5, -0.5))
    ax.set_yticks(range(len(linear)), list(linear))
    ax.grid(visible=False, axis="y")


def _note(row: str, linear: dict[str, float], knn: dict[str, float]) -> tuple[str, bool]:
    """A note on a row that MoFore does not clearly beat, and whether it is drawn as a fault; empty for other rows.

    Supervised training is an upper reference, which may score above MoFore. The shipped encoder is where training
    starts: it is a fault if that is better, but not if training adds nothing beyond doubt.
    """
    if linear.get("constant"):
        return "\nthe same for all", True
    if row in ("mofore", "supervised"):
        return "", False
    answer = weakest(decide(scores["lead_low"], scores["lead_high"]) for scores in (linear, knn))
    return NOTES[answer], answer == "no" or (answer == "not clear" and row != "shipped")


def _draw_similarity(ax: Axes, temporal: pd.DataFrame) -> list[Text]:
    add_title(ax, "Temporal stability", "clips of one video stay close, others apart")
    if temporal.empty:
        return show_message(ax, "no video has room for two clips that do not overlap")
    names = []
    for name, points in temporal.groupby("series", sort=False):
        encoder, _, pairs = str(name).partition(", ")
        draw_line(ax, points["gap"], points["similarity"], ENCODER_COLOURS[encoder], PAIR_DASHES[pairs], band=points)
        names.append((points["similarity"].iloc[-1], str(name), ENCODER_COLOURS[encoder]))
    ax.set(xlabel="gap between the clips (video frames)", ylabel="cosine similarity")
    return label_lines(ax, names)


def _draw_map(ax: Axes, points: pd.DataFrame) -> list[Text]:
    """Draw the map. Returns the class names, each at the median of its class; they may still overlap."""
    ax.set(xticks=[], yticks=[], xlabel="t-SNE of the mofore embeddings (no unit)")
    classes = _classes(points)
    unlabelled = points[points["label"] == ""]
    ax.plot(unlabelled["x"], unlabelled["y"], "o", color=SOFT, markersize=6, alpha=0.5, markeredgewidth=0)
    spreads, names = [], []
    for i, label in enumerate(classes):
        xy_N2 = points.loc[points["label"] == label, ["x", "y"]].to_numpy()
        colour, marker = class_style(i)
        ax.plot(*xy_N2.T, marker, color=colour, markersize=6, alpha=0.75, markeredgewidth=0)
        x, y = np.median(xy_N2, axis=0)
        spreads.append(np.linalg.norm(xy_N2 - (x, y), axis=1).mean())
        names.append((x, y, shorten(legible(label)), darker(colour)))
    how_to_read = f"a dot is a video; {'colour and shape tell its class' if classes else 'no labels to colour by'}"
    if len(classes) > MAX_NAMED_CLASSES:
        # Name only the most compact classes: the videos of the others are too spread out for one label.
        names = [names[i] for i in sorted(np.argsort(spreads, kind="stable")[:MAX_NAMED_CLASSES])]
        how_to_read = f"a dot is a video; most compact {len(names)} of {len(classes)} classes named"
    add_title(ax, "Embedding map", how_to_read)
    halo = withStroke(linewidth=3, foreground="white")
    size = 11 if len(names) <= 16 else 8.5
    return [
        ax.text(
            x,
            y,
            name,
            color=colour,
            size=size,
            weight="bold",
            ha="center",
            va="center",
            in_layout=False,
            path_effects=[halo],
        )
        for x, y, name, colour in names
    ]


def _draw_confusion(ax: Axes, confusion: pd.DataFrame) -> None:
    if confusion.empty:
        add_title(ax, "Confusion of the linear probe", "")
        show_message(ax, NO_LABELS)
        return
    add_title(ax, "Confusion of the linear probe", "rows: actual, columns: predicted; shade: share of the row")
    names = [shorten(legible(name)) for name in shade_confusion(ax, confusion, MAX_NAMED_CLASSES, 9)]
    ax.spines[:].set_visible(True)
    ax.set(ylabel="actual")
    if len(names) > MAX_NAMED_CLASSES:
        ax.set(xlabel=f"predicted class (number of {len(names)}, by name)", ylabel="actual class")
        return
    ax.set_xticks(range(len(names)), names, rotation=60, ha="right", rotation_mode="anchor", fontsize=9)
    ax.set_yticks(range(len(names)), names, fontsize=9)
    ax.tick_params(length=0)


def _draw_training(losses: Axes, rank: Axes, shares: Axes, pretrain: pd.DataFrame) -> list[Text]:
    """Draw losses, effective rank and accuracies, one chart above the other, by epoch."""
    add_title(losses, "Training and health", "losses should fall; a rank that sinks towards 1 is a collapse")
    panels = (
        (
            losses,
            "loss",
            {"loss": ("total", BLACK), "contrast_loss": ("contrastive", RED), "forecast_loss": ("forecasting", BLUE)},
        ),
        (rank, "rank", {"effective_rank": ("effective rank", GREEN)}),
        (shares, "share", {"contrastive_accuracy": ("contrastive accuracy", PINK), "knn": ("kNN, training", BLUE)}),
    )
    names = []
    for ax, unit, measures in panels:
        ends = []
        for column, (name, colour) in measures.items():
            points = pretrain.dropna(subset=column) if column in pretrain else pretrain[:0]  # kNN needs labels
            if len(points):
                draw_line(ax, points["epoch"], points[column], colour)
                ends.append((points[column].iloc[-1], name, colour))
        ax.set(ylabel=unit)
        names += label_lines(ax, ends)
        ax.tick_params(labelbottom=ax is shares)
    rank.set_ylim(bottom=0)
    shares.set(ylim=(0, 1), xlabel="epoch")
    return names
