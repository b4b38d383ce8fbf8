"""Draw the scores of all ablations on one page: one row per ablation, one panel per score."""

from pathlib import Path

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import blended_transform_factory

from mofore.report.decide import Answer, decide
from mofore.report.style import BLUE, GREEN, INK, RED, SOFT, STYLE
from mofore.utils.files import writing

PAGE_WIDTH, ROW_HEIGHT = 11.0, 0.215  # inches
TOP_MARGIN, BOTTOM_MARGIN = 1.15, 1.5  # inches above the first and below the last row
LEFT, RIGHT, PANEL_GAP = 0.235, 0.985, 0.025  # edges of the panels and space between them; fractions of PAGE_WIDTH
# A lower mean is written as a number, not drawn. Forecast skill has no lower bound, and a far value would squeeze the
# rest of the panel.
MIN_DRAWN = -1.0

MARKS: dict[Answer, tuple[str, str]] = {  # marker and colour, by whether an ablation is better than the default
    "not clear": ("o", BLUE),
    "yes": (">", GREEN),
    "no": ("<", RED),
}
LEGEND = {
    "the default": ("o", INK),
    "no difference beyond noise": MARKS["not clear"],
    "better": MARKS["yes"],
    "worse": MARKS["no"],
}
HOW_TO_READ = """\
Mark: mean over seeds. Small dots: each seed. Bar: 95 % interval over test groups, mean over seeds. Vertical: default.
Better, worse: the 95 % interval (Student's t) of the differences from the default, seed by seed, leaves out 0;
where nothing differs, one such interval in 20 does so by chance."""


def draw(table: pd.DataFrame, seeds: pd.DataFrame, titles: dict[str, str], caption: str, picture: Path) -> None:
    """Draw the scores of the ablations into one picture.

    Args:
        table: one row per ablation; the first row of each section is the default. Columns: section, name and, for each
            score, `SCORE` (mean over seeds), `SCORE_low`, `SCORE_high`, `delta_SCORE_low` and `delta_SCORE_high`.
        seeds: one row per run. Columns: section, name and each score.
        titles: panel title of each score; their order is the order of the panels.
        caption: how the runs were made. It is written below the panels, after HOW_TO_READ.
        picture: PNG file to write.
    """
    table = table.assign(first_in_section=~table["section"].duplicated())
    # In rows from the top; each section starts 1.6 rows lower, which leaves room for its name.
    table["y"] = np.arange(len(table)) + 1.6 * table["first_in_section"].cumsum()
    bottom = table["y"].iloc[-1] + 1
    height = TOP_MARGIN + bottom * ROW_HEIGHT + BOTTOM_MARGIN
    with matplotlib.style.context(["default", STYLE]):
        figure = Figure(figsize=(PAGE_WIDTH, height), dpi=130)
        FigureCanvasAgg(figure)
        _add_title_legend_caption(figure, caption, height)
        width = (RIGHT - LEFT + PANEL_GAP) / len(titles)
        for i, (score, name) in enumerate(titles.items()):
            place = (
                LEFT + i * width,
                BOTTOM_MARGIN / height,
                width - PANEL_GAP,
                1 - (TOP_MARGIN + BOTTOM_MARGIN) / height,
            )
            ax = figure.add_axes(place, ylim=(bottom, 0), yticks=[])
            ax.set_title(name, loc="left", fontsize=11, fontweight="bold")
            ax.tick_params(length=0, labelsize=9)
            ax.spines["left"].set_visible(False)
            _draw_score(ax, score, table, seeds)
            if i == 0:
                _label_rows(ax, table)
        with writing(picture) as file:
            figure.savefig(file, format="png", metadata={"Software": None})


def _add_title_legend_caption(figure: Figure, caption: str, height: float) -> None:
    figure.text(0.012, 1 - 0.18 / height, "What each part is worth", fontsize=15, fontweight="bold", va="top")
    marks = [Line2D([], [], marker=marker, color=colour, ls="", ms=7) for marker, colour in LEGEND.values()]
    place = (0.005, 1 - 0.45 / height)
    figure.legend(marks, list(LEGEND), ncols=len(marks), loc="upper left", bbox_to_anchor=place, frameon=False)
    figure.text(0.012, 0.1 / height, f"{HOW_TO_READ}\n{caption}", fontsize=9, color=SOFT, va="bottom", linespacing=1.4)


def _label_rows(ax: Axes, table: pd.DataFrame) -> None:
    """Write the names of ablations and sections to the left of the first panel."""
    at = blended_transform_factory(ax.figure.transFigure, ax.transData)
    for row in table.to_dict("records"):
        weight = "bold" if row["first_in_section"] else "normal"
        ax.text(0.025, row["y"], row["name"], transform=at, va="center", fontsize=10, fontweight=weight)
        if row["first_in_section"]:
            ax.text(0.012, row["y"] - 1.05, row["section"], transform=at, va="center", fontsize=10, color=SOFT)


def _draw_score(ax: Axes, score: str, table: pd.DataFrame, seeds: pd.DataFrame) -> None:
    """Draw one panel: for each ablation its mean, its runs and the interval over test groups; a line at the default."""
    ax.axvline(table[score].iloc[0], color=INK, lw=1, alpha=0.6)
    for row in table.to_dict("records"):
        y, answer = row["y"], decide(row[f"delta_{score}_low"], row[f"delta_{score}_high"])
        marker, colour = LEGEND["the default"] if row["first_in_section"] else MARKS[answer]
        if row[score] < MIN_DRAWN:
            at = ax.get_yaxis_transform()
            ax.text(0, y, f"\N{LEFTWARDS ARROW} {row[score]:.1f}", transform=at, va="center", fontsize=9, color=colour)
            continue
        own = seeds[(seeds["section"] == row["section"]) & (seeds["name"] == row["name"])]
        ax.plot([row[f"{score}_low"], row[f"{score}_high"]], [y, y], color=colour, lw=1.6, alpha=0.5)
        ax.plot(own[score], [y] * len(own), "o", color=colour, ms=3.5, alpha=0.6, mew=0)
        ax.plot(row[score], y, marker, color=colour, ms=7.5, mew=0)
    ax.set_xlim(left=max(ax.get_xlim()[0], MIN_DRAWN))
