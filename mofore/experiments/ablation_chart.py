"""The figure of the ablations: one page, a row an ablation, a panel a score."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import blended_transform_factory

from mofore.report.style import BLUE, GREEN, INK, RED, SOFT, STYLE
from mofore.utils.files import writing

WIDTH, LINE = 11.0, 0.215  # of the page and height of a row, in inches
ABOVE, BELOW = 1.15, 1.5  # the rows, in inches
LEFT, RIGHT, BETWEEN = 0.235, 0.985, 0.025  # of the panels, as shares of the width
FAR = -1.0  # means below are written, not drawn: a forecast's skill may be anything, and would squeeze the others

NO_DIFFERENCE, BETTER, WORSE = ("o", BLUE), (">", GREEN), ("<", RED)  # marker and colour
LEGEND = {
    "the default": ("o", INK),
    "no difference beyond noise": NO_DIFFERENCE,
    "better": BETTER,
    "worse": WORSE,
}
HOW_TO_READ = """\
Mark: mean over seeds. Small dots: each seed. Bar: 95 % interval over test groups, mean over seeds. Vertical: default.
Better, worse: the 95 % interval (Student's t) of the differences from the default, seed by seed, leaves out 0;
where nothing differs, one such interval in 20 does so by chance."""


def draw(table: pd.DataFrame, seeds: pd.DataFrame, titles: dict[str, str], caption: str, picture: Path) -> None:
    """Draw the ablations' scores.

    Args:
        table: columns section, name, and of each score its mean, `_low`, `_high`, `delta_NAME_low`, `delta_NAME_high`;
            the first row of a section is the default.
        seeds: columns section, name, and each score; a run a row.
        titles: of the panels, by score.
        caption: below the panels, after how to read them; how the runs were made.
        picture: PNG to write.
    """
    table = table.assign(starts=~table["section"].duplicated())
    table["y"] = np.arange(len(table)) + 1.6 * table["starts"].cumsum()  # room for each section's name
    bottom = table["y"].iloc[-1] + 1
    height = ABOVE + bottom * LINE + BELOW
    with matplotlib.style.context(["default", STYLE]):
        figure = Figure(figsize=(WIDTH, height), dpi=130)
        FigureCanvasAgg(figure)
        _write_around(figure, caption, height)
        width = (RIGHT - LEFT + BETWEEN) / len(titles)
        for i, (score, name) in enumerate(titles.items()):
            place = (LEFT + i * width, BELOW / height, width - BETWEEN, 1 - (ABOVE + BELOW) / height)
            ax = figure.add_axes(place, ylim=(bottom, 0), yticks=[])
            ax.set_title(name, loc="left", fontsize=11, fontweight="bold")
            ax.tick_params(length=0, labelsize=9)
            ax.spines["left"].set_visible(False)
            _draw_score(ax, score, table, seeds)
            if i == 0:
                _name_rows(ax, table)
        with writing(picture) as file:
            figure.savefig(file, format="png", metadata={"Software": None})


def _write_around(figure: Figure, caption: str, height: float) -> None:
    figure.text(0.012, 1 - 0.18 / height, "What each part is worth", fontsize=15, fontweight="bold", va="top")
    marks = [Line2D([], [], marker=marker, color=colour, ls="", ms=7) for marker, colour in LEGEND.values()]
    place = (0.005, 1 - 0.45 / height)
    figure.legend(marks, list(LEGEND), ncols=len(marks), loc="upper left", bbox_to_anchor=place, frameon=False)
    figure.text(0.012, 0.1 / height, f"{HOW_TO_READ}\n{caption}", fontsize=9, color=SOFT, va="bottom", linespacing=1.4)


def _name_rows(ax: Axes, table: pd.DataFrame) -> None:
    at = blended_transform_factory(ax.figure.transFigure, ax.transData)
    for row in table.to_dict("records"):
        weight = "bold" if row["starts"] else "normal"
        ax.text(0.025, row["y"], row["name"], transform=at, va="center", fontsize=10, fontweight=weight)
        if row["starts"]:
            ax.text(0.012, row["y"] - 1.05, row["section"], transform=at, va="center", fontsize=10, color=SOFT)


def _draw_score(ax: Axes, score: str, table: pd.DataFrame, seeds: pd.DataFrame) -> None:
    """Each ablation's mean, its runs, and the interval over test groups; the default as a line down the panel."""
    ax.axvline(table[score].iloc[0], color=INK, lw=1, alpha=0.6)
    for row in table.to_dict("records"):
        y, (marker, colour) = row["y"], LEGEND["the default"] if row["starts"] else _verdict(row, score)
        if row[score] < FAR:
            at = ax.get_yaxis_transform()
            ax.text(0, y, f"\N{LEFTWARDS ARROW} {row[score]:.1f}", transform=at, va="center", fontsize=9, color=colour)
            continue
        own = seeds[(seeds["section"] == row["section"]) & (seeds["name"] == row["name"])]
        ax.plot([row[f"{score}_low"], row[f"{score}_high"]], [y, y], color=colour, lw=1.6, alpha=0.5)
        ax.plot(own[score], [y] * len(own), "o", color=colour, ms=3.5, alpha=0.6, mew=0)
        ax.plot(row[score], y, marker, color=colour, ms=7.5, mew=0)
    ax.set_xlim(left=max(ax.get_xlim()[0], FAR))


def _verdict(row: dict[Hashable, Any], score: str) -> tuple[str, str]:
    """Marker and colour by whether the interval of the difference from the default leaves out 0."""
    if row[f"delta_{score}_low"] > 0:
        return BETTER
    return WORSE if row[f"delta_{score}_high"] < 0 else NO_DIFFERENCE
