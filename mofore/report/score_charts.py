"""Draw the report's charts of scores, by representation and by class, and its embedding maps.

If there is nothing to draw, the figure says why.
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from mofore.report.line_charts import NO_LABELS, ROW_STYLES
from mofore.report.markup import PageFigure
from mofore.report.results import ROW_NAMES, Scores
from mofore.report.style import BLACK, INK, SOFT, class_style, shade_confusion, shorten
from mofore.report.svg import Chart

MAX_CLASSES = 40  # rows of a chart that can still be read
MAX_DOTS = 1500  # on a map; each takes 100 bytes of the page
MAX_CELLS = 24  # classes of a confusion matrix that can be read on a phone


def scores_figure(linear: Scores, knn: Scores, chance: dict[str, float]) -> PageFigure:
    """Linear top-1 accuracy and retrieval R@1 of every representation, with chance from `claims.chance`."""
    title = "Main scores with their controls"
    how_to_read = (
        "Share of held-out videos that are right, with 95 % intervals over groups. Left: a linear classifier; right: "
        "the nearest training video (R@1). Dotted line: chance."
    )
    if not linear["mofore"]:
        return PageFigure(title, how_to_read, why_empty=NO_LABELS)
    rows = list(linear)
    chart = Chart(1.3 + 0.33 * len(rows), 1, 2, sharey=True)
    alts = []
    for ax, scores, score, label in zip(
        chart.axes, (linear, knn), ("top1", "r_at_1"), ("linear top-1", "retrieval R@1"), strict=True
    ):
        for y, row in enumerate(rows):
            of_row = scores[row]
            _draw_score(ax, y, of_row[score], of_row[f"{score}_low"], of_row[f"{score}_high"], row)
        ax.axvline(chance[score], color=BLACK, linestyle=":", linewidth=1)
        ax.set(xlim=(0, 1), xlabel=label, ylim=(len(rows) - 0.5, -0.5))
        ax.xaxis.set_major_formatter(PercentFormatter(1))
        ax.set_xticks([0, 0.5, 1])
        alts.append(f"{label}: " + ", ".join(f"{ROW_NAMES[row]} {scores[row][score]:.0%}" for row in rows))
    chart.axes[0].set_yticks(range(len(rows)), [ROW_NAMES[row] for row in rows], color=INK)
    return PageFigure(title, how_to_read, chart.svg("scores", f"{title}. {'; '.join(alts)}"))


def classes_figure(name: str, title: str, classes: pd.DataFrame) -> PageFigure:
    """Scores of MoFore and of random weights for each class, best class of MoFore first.

    Args:
        name: of the chart, unique in the page.
        title: of the figure.
        classes: columns row, label, score, low, high.
    """
    how_to_read = (
        "Share of the class's test videos that are right, with 95 % intervals over its groups; best class first."
    )
    if classes.empty:
        return PageFigure(title, how_to_read, why_empty=NO_LABELS)
    order = classes[classes["row"] == "mofore"].sort_values(["score", "label"], ascending=[False, True])["label"]
    shown = list(order)
    if len(shown) > MAX_CLASSES:
        half = MAX_CLASSES // 2
        shown = shown[:half] + shown[-half:]
        how_to_read += f" Of {len(order)} classes, the best {half} and the worst {half}."
    chart = Chart(1.1 + 0.27 * len(shown))
    (ax,) = chart.axes
    for shift, (row, of_row) in zip((-0.17, 0.17), classes.groupby("row", sort=False), strict=False):
        at = of_row.set_index("label").loc[shown]
        for y, (score, low, high) in enumerate(zip(at["score"], at["low"], at["high"], strict=True)):
            _draw_score(ax, y + shift, score, low, high, str(row), ROW_NAMES[str(row)] if y == 0 else "")
    ax.set(xlim=(-0.02, 1.02), ylim=(len(shown) - 0.5, -0.5), xlabel="share of test videos")
    ax.xaxis.set_major_formatter(PercentFormatter(1))
    ax.set_yticks(range(len(shown)), [shorten(label) for label in shown], color=INK)
    chart.legend()
    worst = classes[(classes["row"] == "mofore") & (classes["label"] == shown[-1])]["score"].iloc[0]
    best = classes[(classes["row"] == "mofore") & (classes["label"] == shown[0])]["score"].iloc[0]
    alt = f"{title}. Best {shorten(shown[0])} with {best:.0%}, worst {shorten(shown[-1])} with {worst:.0%}"
    return PageFigure(title, how_to_read, chart.svg(name, alt))


def confusion_figure(confusion: pd.DataFrame) -> PageFigure:
    """Confusion matrix of the linear classifier; columns actual, predicted, one row per test video."""
    title = "Confusion of the linear classifier"
    how_to_read = "Test videos by their class (rows) and the class named (columns). Shade: share of the row."
    if confusion.empty:
        return PageFigure(title, how_to_read, why_empty=NO_LABELS)
    chart = Chart(4.6)
    (ax,) = chart.axes
    classes = shade_confusion(ax, confusion, MAX_CELLS, 8.5)
    if len(classes) <= MAX_CELLS:
        names = [shorten(name, 12) for name in classes]
        ax.set_xticks(range(len(names)), names, rotation=60, ha="right", rotation_mode="anchor", fontsize=9, color=INK)
        ax.set_yticks(range(len(names)), names, fontsize=9, color=INK)
    else:
        how_to_read += f" The {len(classes)} classes are numbered by name; those most often confused are named beside."
    ax.set(xlabel="named", ylabel="actual")
    ax.tick_params(length=0)
    right = float((confusion["actual"] == confusion["predicted"]).mean())
    alt = f"{title}: {right:.0%} of {len(confusion)} on the diagonal"
    return PageFigure(title, how_to_read, chart.svg("confusion", alt))


def map_figure(points: pd.DataFrame, by: str) -> PageFigure:
    """The embedding map, coloured by column `by`, which is "label" or "group"."""
    what = {"label": "class", "group": "group"}[by]
    title = f"Embedding map by {what}"
    values = sorted(set(points[by]) - {""})
    how_to_read = f"A dot is a video, placed by t-SNE of MoFore's embeddings; colour and shape tell its {what}. " + (
        "Good: islands of one class."
        if by == "label"
        else "Islands of one group mean that embeddings encode the scene."
    )
    if not values:
        return PageFigure(title, how_to_read, why_empty=f"There is no {what} to colour by.")
    if len(points) > MAX_DOTS:
        points = points.iloc[:: -(-len(points) // MAX_DOTS)]
        how_to_read += f" {len(points):,} of the test videos, evenly picked."
    chart = Chart(4.4)
    (ax,) = chart.axes
    unlabelled = points[points[by] == ""]
    ax.plot(unlabelled["x"], unlabelled["y"], "o", color=SOFT, markersize=4, alpha=0.4, markeredgewidth=0)
    lines = []
    for i, value in enumerate(values):
        of_value = points[points[by] == value]
        colour, marker = class_style(i)
        (drawn,) = ax.plot(of_value["x"], of_value["y"], marker, color=colour, alpha=0.8, markeredgewidth=0)
        drawn.set_label(shorten(value, 12))
        lines.append(drawn)
    if len(values) > 49:
        how_to_read += f" {len(values)} values share 49 colours and shapes."
    ax.set(xticks=[], yticks=[], xlabel="t-SNE (no unit)")
    if len(values) <= MAX_CELLS:
        chart.legend(3 if max(map(len, values)) < 12 else 2, lines)
    alt = f"{title}: {len(points)} videos, {len(values)} values of {what}"
    return PageFigure(title, how_to_read, chart.svg(f"map_{by}", alt))


def _draw_score(ax: Axes, y: float, score: float, low: float, high: float, row: str, label: str = "") -> None:
    """Draw a score at height `y` with its interval, in the style of its representation."""
    style = ROW_STYLES[row]
    ax.plot([low, high], [y, y], color=style.colour, linewidth=2.5, alpha=0.5, solid_capstyle="butt")
    ax.plot([score], [y], style.marker, color=style.colour, markersize=6, clip_on=False, label=label or None)
