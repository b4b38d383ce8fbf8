"""Draw how surprising the moments of a video are, with the frames of the peaks."""

import io
from pathlib import Path

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from mofore.collection.frame_times import clock
from mofore.collection.output import replacing
from mofore.collection.surprise_sink import FRAME_DIFFERENCE, PEAKS, PERSISTENCE, Surprise, normalise
from mofore.report.fonts import families
from mofore.report.style import BLUE, INK, ORANGE, PINK, RED, SOFT, STYLE, label_lines, separate_labels, shorten

WIDTH, HEIGHT = 12.0, 6.4  # inches, at 100 pixels each
CONTROLS = {
    PERSISTENCE: ("persistence", PINK, (0, (5, 2))),
    FRAME_DIFFERENCE: ("frame difference", ORANGE, (0, (1, 1))),
}


def draw_surprise(found: Surprise, name: str, picture: Path) -> None:
    """Draw the curves of a video, normalised, and below them the frames of the peaks in the order of time.

    Args:
        found: what `surprise` has found.
        name: of the video, for the title.
        picture: PNG file to write. The same input gives the same bytes.
    """
    with matplotlib.style.context(["default", STYLE, {"font.family": families([name])}]):
        figure = Figure(figsize=(WIDTH, HEIGHT), dpi=100)
        FigureCanvasAgg(figure)
        figure.suptitle(shorten(name, 80), x=0.02, y=0.97, ha="left", fontsize=14, fontweight="bold")
        _draw_curves(figure.add_axes((0.08, 0.47, 0.76, 0.38)), found)
        for number, peak in enumerate(sorted(found.peaks, key=lambda peak: peak.time_s)):
            ax = figure.add_axes((0.02 + number * 0.96 / PEAKS, 0.03, 0.92 / PEAKS, 0.29))
            image_HWC = np.asarray(Image.open(io.BytesIO(peak.picture)))
            height, width = image_HWC.shape[:2]
            ax.imshow(image_HWC)
            left, top, right, bottom = np.array(peak.crop) * [width, height, width, height] - 0.5
            ax.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=RED, linewidth=3))
            ax.set_title(f"{clock(peak.time_s)}   {peak.normalised:+.1f}", fontsize=10, color=INK)
            ax.axis("off")
        with replacing(picture) as file:
            figure.savefig(file, format="png", metadata={"Software": None})


def _draw_curves(ax: Axes, found: Surprise) -> None:
    table: pd.DataFrame = found.table
    time = table["time_s"].to_numpy()
    lines = []
    for column, (label, colour, dashes) in CONTROLS.items():
        if column == PERSISTENCE and not found.forecasts:
            continue
        z_M = normalise(table[[column]].to_numpy(np.float32))[:, 0]
        ax.plot(time, z_M, color=colour, linestyle=dashes, linewidth=1.4)
        lines.append((float(z_M[-1]), label, colour))
    main = "forecast error" if found.forecasts else "change of features"
    ax.plot(time, table["normalised"], color=BLUE, marker="o" if len(time) == 1 else "")
    lines.append((float(table["normalised"].iloc[-1]), main, BLUE))
    for peak in found.peaks:
        ax.plot(peak.time_s, peak.normalised, "v", color=RED, markersize=8, clip_on=False)
    ax.axhline(0, color=SOFT, linewidth=0.8)
    ax.set(xlabel="time (seconds)", ylabel="standard deviations")
    ax.margins(x=0.01)
    how = f"{main} of the clip around each moment, beside controls that forecast nothing; triangles: frames below"
    ax.set_title(how, loc="left", fontsize=10, color=SOFT)
    names = label_lines(ax, lines)
    ax.figure.draw_without_rendering()  # type: ignore[union-attr] # computes the extents of the names
    separate_labels(names)
