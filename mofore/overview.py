"""The overview picture: one figure that tells what a run has learnt.

Colours are Okabe and Ito's (jfly.uni-koeln.de/color, 2008), which colour-blind readers can tell apart.
"""

import json
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.transforms import IdentityTransform

from mofore.files import writing

BLUE, ORANGE, GREEN, PINK, SKY, RED, BLACK = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000"
ENCODER_COLOURS = {"mofore": BLUE, "random_init": ORANGE}
CLASS_COLOURS = [BLUE, ORANGE, GREEN, PINK, SKY, RED, BLACK]
CLASS_MARKERS = ["o", "^", "s", "X", "D", "v", "P"]
INK, SOFT = "#1c2127", "#5c6670"

MOST_NAMED_CLASSES = 24  # more names than these cannot be read in one panel

NO_LABELS = "no labels on both sides of the split:\nput videos into one folder a class,\nor add videos.csv with labels"

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so it is the same on every machine
    "font.size": 11,
    "text.color": INK,
    "text.parse_math": False,  # a class may be called "$5"
    "axes.edgecolor": "#aab2ba",
    "axes.labelcolor": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e8ebee",
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "lines.linewidth": 2.2,
    "lines.markersize": 4,
}

# l: losses, h: health (rank), p: health (picked), t: temporal, r: retrieval, m: map, c: confusion
LAYOUT = "lht;lpt;rmc;rmc;rmc"


def draw_overview(results: Path, picture: Path) -> None:
    """Draw losses, health, similarity against gap, retrieval, the embedding map and the confusion matrix.

    Args:
        results: a folder with `pretrain.csv`, `temporal.csv`, `retrieval.csv`, `map.csv`, `confusion.csv`,
            `linear.json` and `knn.json`. A table without rows (as unlabelled videos give) gets a panel that says why.
        picture: PNG to write, 1600x1000 pixels; the same bytes for the same results.
    """
    with matplotlib.style.context(["default", STYLE]):
        figure = compose(results)
        with writing(picture) as file:
            figure.savefig(file, format="png", metadata={"Software": None})


def compose(results: Path) -> Figure:
    """The figure of `draw_overview`, to be drawn and saved under STYLE."""
    pretrain, temporal, retrieval, points, confusion = (
        _read(results / f"{name}.csv") for name in ("pretrain", "temporal", "retrieval", "map", "confusion")
    )
    linear, knn = (json.loads((results / f"{name}.json").read_text("utf-8")) for name in ("linear", "knn"))
    figure = Figure(figsize=(16, 10), dpi=100, layout=ConstrainedLayoutEngine(w_pad=0.16, h_pad=0.12))
    FigureCanvasAgg(figure)
    axes = figure.subplot_mosaic(LAYOUT)
    figure.suptitle(_headline(points, linear, knn), x=0.012, ha="left", fontsize=15, fontweight="bold")
    _draw_losses(axes["l"], pretrain)
    _draw_health(axes["h"], axes["p"], pretrain)
    _draw_similarity(axes["t"], temporal)
    _draw_retrieval(axes["r"], retrieval)
    _draw_confusion(axes["c"], confusion)
    names = _draw_map(axes["m"], points)
    figure.draw_without_rendering()  # now the layout is known, and which names overlap
    _part(names)
    return figure


def _read(path: Path) -> pd.DataFrame:
    text = {"video", "label", "group", "split", "actual", "predicted", "series", "encoder"}
    table = pd.read_csv(path, dtype=str, keep_default_na=False)  # a class may be called NA, or 1
    numbers = [str(column) for column in table if column not in text]
    table[numbers] = table[numbers].replace("", "nan").astype(float)
    return table


def _headline(points: pd.DataFrame, linear: dict[str, Any], knn: dict[str, Any]) -> str:
    head = f"MoFore: {len(points)} {'test ' if (points['split'] == 'test').all() else ''}videos"
    if not linear["mofore"]:
        return f"{head}, no labels to score with"
    scores = [
        f"{name} {parts['mofore'][key]:.2f} (random init {parts['random_init'][key]:.2f})"
        for name, parts, key in (("retrieval R@1", knn, "r_at_1"), ("linear top-1", linear, "top1"))
    ]
    return "   |   ".join([f"{head}, {len(_classes(points))} classes", *scores])


def _classes(points: pd.DataFrame) -> list[str]:
    return sorted(set(points["label"]) - {""})


def _title(ax: Axes, title: str, how_to_read: str) -> None:
    ax.set_title(title, loc="left", fontsize=13, fontweight="bold", pad=24)
    ax.annotate(
        how_to_read, (0, 1), (0, 8), xycoords="axes fraction", textcoords="offset points", color=SOFT, fontsize=10
    ).set_in_layout(False)  # else a long one would narrow its column's charts


def _line(ax: Axes, x: Any, y: Any, colour: str, dashes: str = "-") -> None:
    ax.plot(x, y, dashes, color=colour, marker="o", markevery=max(1, len(x) // 15), clip_on=False)


def _name_lines(ax: Axes, lines: list[tuple[float, str, str]]) -> None:
    """Write each line's name beside its right end: (y of the end, name, colour); names keep apart, below the top."""
    low, high = ax.get_ylim()
    gap = 0.075 * (high - low) * max(name.count("\n") + 1 for _, name, _ in lines)
    below = low - gap
    for place, (y, name, colour) in enumerate(sorted(lines), start=1):
        below = min(max(y, below + gap), high - gap * (len(lines) - place))
        ax.annotate(
            name,
            (1, below),
            (8, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            color=colour,
            va="center",
        )


def _draw_losses(ax: Axes, pretrain: pd.DataFrame) -> None:
    _title(ax, "Training", "loss by epoch; lower is better")
    lines = {"loss": ("total", BLACK), "contrast_loss": ("contrastive", RED), "forecast_loss": ("forecasting", BLUE)}
    for column, (_, colour) in lines.items():
        _line(ax, pretrain["epoch"], pretrain[column], colour)
    _name_lines(ax, [(pretrain[column].iloc[-1], *name_colour) for column, name_colour in lines.items()])
    ax.set(xlabel="epoch", ylabel="loss")


def _draw_health(top: Axes, bottom: Axes, pretrain: pd.DataFrame) -> None:
    _title(top, "Health", "a rank that sinks towards 1 is a collapse")
    _line(top, pretrain["epoch"], pretrain["effective_rank"], GREEN)
    top.set(ylabel="effective rank")
    top.set_ylim(bottom=0)
    top.tick_params(labelbottom=False)
    _line(bottom, pretrain["epoch"], pretrain["picked"], PINK)
    bottom.set(xlabel="epoch", ylabel="share", ylim=(0, 1))
    names = [(float(pretrain["picked"].iloc[-1]), "own future\npicked", PINK)]
    if "knn" in pretrain and pretrain["knn"].notna().any():
        scored = pretrain.dropna(subset="knn")
        _line(bottom, scored["epoch"], scored["knn"], BLUE)
        names.append((float(scored["knn"].iloc[-1]), "kNN, training\nvideos", BLUE))
    _name_lines(bottom, names)


def _draw_similarity(ax: Axes, temporal: pd.DataFrame) -> None:
    _title(ax, "Temporal stability", "clips of one video should stay close, other videos apart")
    if temporal.empty:
        return _say(ax, "no video has room for two clips that do not overlap")
    ends = []
    for name, line in temporal.groupby("series", sort=False):
        encoder, _, pairs = str(name).partition(", ")
        _line(ax, line["gap"], line["similarity"], ENCODER_COLOURS[encoder], "-" if pairs == "same video" else "--")
        ends.append((line["similarity"].iloc[-1], f"{encoder}\n{pairs}", ENCODER_COLOURS[encoder]))
    ax.set(xlabel="gap between the clips (frames)", ylabel="cosine similarity")
    _name_lines(ax, ends)


def _draw_retrieval(ax: Axes, retrieval: pd.DataFrame) -> None:
    _title(ax, "Retrieval", "is the own class among the k nearest training videos?")
    if retrieval.empty:
        return _say(ax, NO_LABELS)
    ends = []
    for encoder, line in retrieval.groupby("encoder", sort=False):
        _line(ax, line["k"], line["recall"], ENCODER_COLOURS[str(encoder)])
        ends.append((line["recall"].iloc[-1], str(encoder), ENCODER_COLOURS[str(encoder)]))
    ax.set(xlabel="k (log scale)", ylabel="share of test videos", ylim=(0, 1), xscale="log")
    ks = sorted(set(retrieval["k"]))
    ax.set_xticks(ks, [f"{k:.0f}" for k in ks])
    ax.set_xticks([], minor=True)
    _name_lines(ax, ends)


def _draw_map(ax: Axes, points: pd.DataFrame) -> list[Text]:
    """Returns the classes' names, each at its class's median; they may overlap as yet."""
    ax.set(xticks=[], yticks=[], xlabel="t-SNE of the mofore embeddings (no unit)")
    classes = _classes(points)
    unlabelled = points[points["label"] == ""]
    ax.plot(unlabelled["x"], unlabelled["y"], "o", color=SOFT, markersize=6, alpha=0.5, markeredgewidth=0)
    spreads, names = [], []
    for i, label in enumerate(classes):
        xy_N2 = points.loc[points["label"] == label, ["x", "y"]].to_numpy()
        colour = CLASS_COLOURS[i % len(CLASS_COLOURS)]
        marker = CLASS_MARKERS[i // len(CLASS_COLOURS) % len(CLASS_MARKERS)]
        ax.plot(*xy_N2.T, marker, color=colour, markersize=6, alpha=0.75, markeredgewidth=0)
        x, y = np.median(xy_N2, axis=0)
        spreads.append(np.linalg.norm(xy_N2 - (x, y), axis=1).mean())
        names.append((x, y, _short(label), _darker(colour)))
    how = "a dot is a video; colour and shape tell its class" if classes else "a dot is a video; no labels to colour by"
    if len(classes) > MOST_NAMED_CLASSES:
        # Name the most compact: only their names say something of the place they stand at.
        names = [names[i] for i in sorted(np.argsort(spreads, kind="stable")[:MOST_NAMED_CLASSES])]
        how = f"a dot is a video; most compact {len(names)} of {len(classes)} classes named"
    _title(ax, "Embedding map", how)
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


def _part(names: list[Text]) -> None:
    """Push overlapping names apart, up and down, by a few rounds of half the overlap each."""
    boxes = [name.get_window_extent() for name in names]
    centre_y = np.array([(box.y0 + box.y1) / 2 for box in boxes])
    for _ in range(50):
        for i in range(len(names)):
            for j in range(i):
                apart = abs(boxes[i].x0 + boxes[i].x1 - boxes[j].x0 - boxes[j].x1) >= boxes[i].width + boxes[j].width
                overlap = (boxes[i].height + boxes[j].height) / 2 - abs(centre_y[i] - centre_y[j])
                if not apart and overlap > 0:
                    up, down = (i, j) if centre_y[i] >= centre_y[j] else (j, i)
                    centre_y[up] += overlap / 2
                    centre_y[down] -= overlap / 2
    for name, box, y in zip(names, boxes, centre_y, strict=True):
        name.set_transform(IdentityTransform())  # from here on in pixels
        name.set_position(((box.x0 + box.x1) / 2, y))


def _draw_confusion(ax: Axes, confusion: pd.DataFrame) -> None:
    if confusion.empty:
        _title(ax, "Confusion of the linear probe", "which classes are taken for one another")
        return _say(ax, NO_LABELS)
    classes = sorted({*confusion["actual"], *confusion["predicted"]})
    counts: npt.NDArray[np.int64] = (
        pd.crosstab(confusion["actual"], confusion["predicted"])
        .reindex(index=classes, columns=classes, fill_value=0)
        .to_numpy()
    )
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    _title(ax, "Confusion of the linear probe", "videos; shade: share of the actual class")
    ax.imshow(share, cmap=LinearSegmentedColormap.from_list("share", ["white", BLUE]), vmin=0, vmax=1, aspect="auto")
    ax.grid(visible=False)
    ax.spines[:].set_visible(True)
    ax.set(xlabel="predicted", ylabel="actual")
    if len(classes) > MOST_NAMED_CLASSES:
        ax.set(xlabel=f"predicted class (number of {len(classes)}, by name)", ylabel="actual class")
        return
    names = [_short(name) for name in classes]
    ax.set_xticks(range(len(classes)), names, rotation=60, ha="right", rotation_mode="anchor", fontsize=9)
    ax.set_yticks(range(len(classes)), names, fontsize=9)
    ax.tick_params(length=0)
    for i, j in np.argwhere(counts):
        colour = "white" if share[i, j] > 0.5 else INK
        ax.text(j, i, str(counts[i, j]), ha="center", va="center", fontsize=9, color=colour)


def _say(ax: Axes, text: str) -> None:
    ax.axis("off")
    ax.text(0.5, 0.5, text, ha="center", va="center", color=SOFT, transform=ax.transAxes, in_layout=False)


def _darker(colour: str) -> tuple[float, ...]:
    """For text: the palette's light colours are hard to read on white."""
    return tuple(0.65 * channel for channel in to_rgb(colour))


def _short(name: str) -> str:
    return name if len(name) <= 16 else name[:15] + "…"
