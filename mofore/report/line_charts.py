"""Draw the report's line charts: against the gap, the time, the epoch and the number of neighbours k.

Each function takes a table of `results/`. If the table is empty, the figure says why there is nothing to draw.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from mofore.report.markup import PageFigure
from mofore.report.results import ROW_NAMES, Scores
from mofore.report.style import BLACK, BLUE, GREEN, ORANGE, PINK, RED, SKY, SOFT
from mofore.report.svg import LINE_STYLES, Chart, LineStyle, draw_line

ROW_STYLES = {
    "mofore": LineStyle(BLUE),
    "random_init": LineStyle(ORANGE, "^"),
    "mofore_shuffled": LineStyle(SKY, "s", "--"),
    "mofore_still": LineStyle(GREEN, "v", "--"),
    "metadata": LineStyle(SOFT, "x", ":"),
    "appearance": LineStyle(PINK, "D", ":"),
    "motion": LineStyle(RED, "P", "-."),
    "motion_appearance": LineStyle(RED, "p"),
    "shipped": LineStyle(BLUE, "d", ":"),
    "supervised": LineStyle(BLACK, "*", ":"),
}
GAP = "gap between the clips (frames)"
NO_PAIRS = "No video has room for two clips that do not overlap, so there is no gap to measure at."
NO_LABELS = "There are no labels on both sides of the split: put videos into one folder per class, or add videos.csv."


def skill_figure(forecast: pd.DataFrame) -> PageFigure:
    """Forecast skill against the gap, from `forecast.csv`."""
    title = "Forecast skill"
    how_to_read = (
        "How much closer the forecast comes to the true future embedding than a reference: the context's own embedding "
        "(persistence) or the mean (climatology). 1: perfect; 0: no better than the reference; below 0: worse. Bands: "
        "95 % intervals over groups of held-out videos. Gray: gaps longer than those of training."
    )
    if forecast.empty:
        return PageFigure(title, how_to_read, why_empty=NO_PAIRS)
    chart = Chart(3.6)
    (ax,) = chart.axes
    _draw_lines(ax, forecast, "series", "gap", "skill")
    ax.axhline(0, color=BLACK, linewidth=1)
    ax.set_ylim(max(-1.0, forecast["low"].min() - 0.05), min(1.0, max(0.1, forecast["high"].max() + 0.05)))
    _shade_untrained(ax, forecast)
    ax.set(xlabel=GAP, ylabel="skill (1 - error / error of reference)")
    chart.legend(1)
    alt = f"{title}: {_describe_lines(forecast, 'series', 'gap', 'skill')}"
    return PageFigure(title, how_to_read, chart.svg("skill", alt))


def accuracy_figure(accuracy: pd.DataFrame) -> PageFigure:
    """How often the right future is nearest to the forecast, from `forecast_accuracy.csv`."""
    title = "Is the right future found?"
    how_to_read = (
        "How often the forecast is nearer to its own future than to the others offered: futures of other videos, or "
        "other moments of the same video; beside, the same with the context's own embedding as the forecast "
        "(persistence). Thin dotted lines: chance."
    )
    if accuracy.empty:
        return PageFigure(title, how_to_read, why_empty=NO_PAIRS)
    chart = Chart(3.6)
    (ax,) = chart.axes
    _draw_lines(ax, accuracy, "series", "gap", "share")
    for style, (_, of_series) in zip(LINE_STYLES, accuracy.groupby("series", sort=False), strict=False):
        ax.plot(of_series["gap"], of_series["chance"], ":", color=style.colour, linewidth=1)
    _shade_untrained(ax, accuracy)
    ax.set(xlabel=GAP, ylabel="accuracy", ylim=(0, 1))
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    chart.legend(1)
    alt = f"{title} {_describe_lines(accuracy, 'series', 'gap', 'share')}"
    return PageFigure(title, how_to_read, chart.svg("forecast_accuracy", alt))


def stability_figure(temporal: pd.DataFrame) -> PageFigure:
    """Similarity of two clips against the gap between them, one panel per encoder, from `temporal.csv`."""
    title = "Temporal stability"
    how_to_read = (
        "Cosine similarity of two clips against the gap between them. Clips of one video should stay close, those of "
        "other videos apart. All lines close to 1: not stability, but collapse. Bands: 95 % intervals over groups."
    )
    if temporal.empty:
        return PageFigure(title, how_to_read, why_empty=NO_PAIRS)
    parts = temporal["series"].str.partition(", ")
    encoders = list(dict.fromkeys(parts[0]))
    chart = Chart(3.3, 1, len(encoders), sharey=True)
    for ax, encoder in zip(chart.axes, encoders, strict=True):
        _draw_lines(ax, temporal[parts[0] == encoder].assign(pairs=parts[2]), "pairs", "gap", "similarity")
        ax.set_title(ROW_NAMES[encoder], loc="left", fontsize=10.5)
        ax.set_xlabel("gap (frames)")
    chart.axes[0].set_ylabel("cosine similarity")
    chart.legend(3)
    alt = f"{title}: {_describe_lines(temporal, 'series', 'gap', 'similarity')}"
    return PageFigure(title, how_to_read, chart.svg("stability", alt))


def speed_figure(speed: pd.DataFrame) -> PageFigure:
    """Change of the embedding along a video, from `speed.csv`."""
    title = "Speed of change along a video"
    how_to_read = (
        "How fast the embedding turns, from the start of a video (0) to its end (1). Bands: 95 % intervals over groups."
    )
    if speed.empty:
        return PageFigure(title, how_to_read, why_empty=NO_PAIRS)
    chart = Chart(3)
    (ax,) = chart.axes
    _draw_lines(ax, speed, "encoder", "position", "speed", ROW_STYLES)
    ax.set(xlabel="position in the video (0: start, 1: end)", ylabel="speed (degrees per frame)", xlim=(0, 1))
    ax.set_ylim(bottom=0)
    chart.legend()
    alt = f"{title}: {_describe_lines(speed, 'encoder', 'position', 'speed')}"
    return PageFigure(title, how_to_read, chart.svg("speed", alt))


def retrieval_figure(retrieval: pd.DataFrame) -> PageFigure:
    """Recall at k of every representation, from `retrieval.csv`."""
    title = "Retrieval"
    how_to_read = (
        "Recall at k: the share of test videos with one of their own class among the k nearest training videos. "
        "Band: 95 % interval of MoFore over groups."
    )
    if retrieval.empty:
        return PageFigure(title, how_to_read, why_empty=NO_LABELS)
    chart = Chart(4)
    (ax,) = chart.axes
    for row, curve in retrieval.groupby("encoder", sort=False):
        band = (curve["low"], curve["high"]) if row == "mofore" else ()
        draw_line(ax, curve["k"], curve["recall"], ROW_STYLES[str(row)], ROW_NAMES[str(row)], band)
    ks = sorted(set(retrieval["k"]))
    ax.set(xlabel="k (log scale)", ylabel="share of test videos", xscale="log", ylim=(0, 1.02))
    ax.set_xticks(ks, [f"{k:.0f}" for k in ks])
    ax.set_xticks([], minor=True)
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    chart.legend()
    alt = f"{title}: {_describe_lines(retrieval, 'encoder', 'k', 'recall')}"
    return PageFigure(title, how_to_read, chart.svg("retrieval", alt))


def few_labels_figure(few: pd.DataFrame, linear: Scores) -> PageFigure:
    """Accuracy with few labels, from `few_labels.csv`; on the right with all labels, from `linear.json`."""
    title = "With few labels"
    how_to_read = (
        "Share of test videos that a linear classifier gets right if only so many training videos of each class have a "
        "label: mean over draws of these videos; band: 95 % of the draws, for MoFore. Right: with all labels."
    )
    if few.empty:
        why = "Few labels need more training videos of a class." if linear["mofore"] else NO_LABELS
        return PageFigure(title, how_to_read, why_empty=why)
    chart = Chart(4)
    (ax,) = chart.axes
    counts = sorted(set(few["labels"]))
    all_labels = 2 * counts[-1]  # where the scores with all labels are drawn
    alts = []
    for row, curve in few.groupby("encoder", sort=False):
        style, name = ROW_STYLES[str(row)], ROW_NAMES[str(row)]
        draw_line(ax, curve["labels"], curve["top1"], style, name, (curve["low"], curve["high"]) * (row == "mofore"))
    for row in dict.fromkeys([*few["encoder"], "supervised"]):
        if top1 := linear.get(row, {}).get("top1"):
            style = ROW_STYLES[row]
            label = "_" if row in set(few["encoder"]) else ROW_NAMES[row]
            ax.plot([all_labels], [top1], style.marker, color=style.colour, label=label, linestyle="none")
            alts.append(f"{ROW_NAMES[row]} {top1:.0%}")
    ax.set(xlabel="labels of each class (log scale)", ylabel="share of test videos", xscale="log", ylim=(0, 1.02))
    ax.set_xticks([*counts, all_labels], [*(f"{count:.0f}" for count in counts), "all"])
    ax.set_xticks([], minor=True)
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    chart.legend()
    alt = f"{title}: {_describe_lines(few, 'encoder', 'labels', 'top1')}; with all labels {', '.join(alts)}"
    return PageFigure(title, how_to_read, chart.svg("few_labels", alt))


def gaps_figure(gaps: pd.DataFrame) -> PageFigure:
    """Histogram of the gaps drawn in pretraining, from `gaps.csv`."""
    title = "Gaps really drawn"
    how_to_read = (
        "Of the pairs of clips in training. Short videos have no room for the longest gaps, so those are rarer."
    )
    if gaps.empty:
        return PageFigure(title, how_to_read, why_empty="No gap was drawn.")
    chart = Chart(2.4)
    (ax,) = chart.axes
    width = np.diff(gaps["gap"]).min() if len(gaps) > 1 else 1
    ax.bar(gaps["gap"], gaps["share"], width=0.9 * width, color=BLUE)
    ax.set(xlabel="gap (frames)", ylabel="share of pairs")
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    mean = float((gaps["gap"] * gaps["share"]).sum())
    alt = f"{title}: from {gaps['gap'].min():.0f} to {gaps['gap'].max():.0f} frames, {mean:.0f} on average"
    return PageFigure(title, how_to_read, chart.svg("gaps", alt))


def training_figure(pretrain: pd.DataFrame) -> PageFigure:
    """Losses, effective rank and accuracies by epoch, from `pretrain.csv`."""
    title = "Training"
    how_to_read = "By epoch. Losses: lower is better. An effective rank that sinks towards 1 is a collapse."
    chart = Chart(6, 3, sharex=True)
    losses, rank, shares = chart.axes
    epoch, alts = pretrain["epoch"], []
    panels = (
        (losses, "loss", {"loss": "total", "contrast_loss": "contrastive", "forecast_loss": "forecasting"}),
        (rank, "effective rank", {"effective_rank": "effective rank (directions)"}),
        (shares, "share", {"contrastive_accuracy": "contrastive accuracy", "knn": "kNN, training"}),
    )
    for ax, label, columns in panels:
        for style, (column, name) in zip(LINE_STYLES, columns.items(), strict=False):
            if column in pretrain and pretrain[column].notna().any():
                known = pretrain[column].notna()
                draw_line(ax, epoch[known], pretrain[column][known], style, name)
                ends = pretrain[column][known].iloc[[0, -1]]
                alts.append(f"{name} from {ends.iloc[0]:.3g} to {ends.iloc[1]:.3g}")
        ax.set_ylabel(label)
        ax.set_ylim(bottom=0)
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    shares.set_ylim(0, 1)
    shares.set_xlabel("epoch")
    return PageFigure(title, how_to_read, chart.svg("training", f"{title}: {'; '.join(alts)}"))


def _draw_lines(
    ax: Axes, table: pd.DataFrame, key: str, x: str, y: str, styles: dict[str, LineStyle] | None = None
) -> None:
    """Draw one line for each value of column `key`, with the band from column `low` to `high`."""
    names = list(dict.fromkeys(table[key]))
    styles = styles or {name: LINE_STYLES[i % len(LINE_STYLES)] for i, name in enumerate(names)}
    for name in names:
        of_name = table[table[key] == name]
        draw_line(
            ax, of_name[x], of_name[y], styles[name], ROW_NAMES.get(name, name), (of_name["low"], of_name["high"])
        )


def _shade_untrained(ax: Axes, table: pd.DataFrame) -> None:
    """Shade the gaps that are longer than those of training."""
    trained = table.loc[table["trained"] == "True", "gap"]
    low, high = ax.get_xlim()
    if trained.empty or table["gap"].max() <= trained.max():
        ax.set_xlim(low, high)
        return
    beyond = (trained.max() + table.loc[table["gap"] > trained.max(), "gap"].min()) / 2
    ax.axvspan(beyond, high, color="#eceff1", zorder=0)
    ax.set_xlim(low, high)


def _describe_lines(table: pd.DataFrame, key: str, x: str, y: str) -> str:
    """Describe the first and last point of each line, for screen readers."""
    words = []
    for name, of_name in table.groupby(key, sort=False):
        first, last = of_name.iloc[0], of_name.iloc[-1]
        words.append(
            f"{ROW_NAMES.get(str(name), name)} from {first[y]:.2f} at {first[x]:.3g} to {last[y]:.2f} at {last[x]:.3g}"
        )
    return "; ".join(words)
