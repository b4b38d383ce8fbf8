"""Draw retrieval filmstrips: test videos and their nearest training videos, as strips of frames.

Shapes: K neighbours, H height, W width.
"""

from pathlib import Path
from typing import Any

import cv2
import matplotlib.style
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mofore.embedding.store import Embeddings
from mofore.frames.store import FramesArray, FrameStore
from mofore.report.fonts import families, legible
from mofore.report.queries import Retrieved, choose_examples
from mofore.report.style import BLUE, INK, RED, SOFT, STYLE, shorten
from mofore.utils.files import writing

SHOWN_NEIGHBOURS = 3  # drawn in the picture
FRAMES = 4  # per strip
NAME_LENGTH = 26  # characters; longer names are cut
FRAME_W, FRAME_H, FRAME_GAP = 93, 70, 2  # pixels; FRAME_GAP is between the frames of a strip
STRIP_W = FRAMES * (FRAME_W + FRAME_GAP) - FRAME_GAP
MARGIN, STRIP_GAP, HEADER_H, ROW_H = 20, 16, 116, FRAME_H + 36  # pixels; a row holds one query
WIDTH = 2 * MARGIN + (1 + SHOWN_NEIGHBOURS) * STRIP_W + SHOWN_NEIGHBOURS * STRIP_GAP
RIGHT, WRONG = BLUE, RED
COLUMNS = ["query: a test video", "nearest training video", "second nearest", "third nearest"]


def draw_filmstrips(videos: Embeddings, frames: FrameStore, picture: Path, rule: str, seed: int) -> None:
    """Draw each query beside its nearest training videos, marked as right or wrong.

    Args:
        videos: one embedding per video, of both sides of the split.
        frames: frames of the same videos, matched by name.
        picture: JPEG file to write, 1600 pixels wide. The same input gives the same bytes.
        rule, seed: the choice of queries, see `choose_examples`.
    """
    examples = choose_examples(videos, rule, seed)
    height = HEADER_H + ROW_H * len(examples.queries)
    fonts = {"font.family": families([*videos.label, *videos.video])}
    with matplotlib.style.context(["default", STYLE, fonts]):
        figure = Figure(figsize=(WIDTH / 100, height / 100), dpi=100)
        FigureCanvasAgg(figure)
        _write(
            figure, MARGIN, 30, "Retrieval: which training videos does MoFore find most alike?", size=15, weight="bold"
        )
        subtitle = f"{FRAMES} frames, evenly spaced, of each video. The number is the cosine similarity to the query."
        _write(figure, MARGIN, 54, subtitle, SOFT)
        _write(figure, MARGIN, 73, examples.choice, SOFT)
        for column, words in enumerate(COLUMNS if examples.queries else []):
            _write(figure, MARGIN + column * (STRIP_W + STRIP_GAP), 104, words, SOFT, weight="bold")
        video_index = {name: i for i, name in enumerate(frames.table.video)}
        for row, query in enumerate(examples.queries):
            _draw_query(figure, query, frames, video_index, HEADER_H + ROW_H * row)
        with writing(picture) as file:
            figure.savefig(file, format="jpg", pil_kwargs={"quality": 82, "optimize": True})


def fit_into_box(frame_HW3: FramesArray, width: int, height: int) -> FramesArray:
    """Scale a frame into a box of `width` x `height` pixels. The aspect ratio is kept; the rest is dark gray."""
    h, w = frame_HW3.shape[:2]
    scale = min(width / w, height / h)
    size = (max(1, round(w * scale)), max(1, round(h * scale)))
    scaled = cv2.resize(frame_HW3, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    box = np.full((height, width, 3), 40, np.uint8)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    box[top : top + size[1], left : left + size[0]] = scaled
    return box


def _draw_query(figure: Figure, query: Retrieved, frames: FrameStore, video_index: dict[str, int], top: int) -> None:
    _write(figure, MARGIN, top + 18, shorten(legible(query.label or query.video), NAME_LENGTH), weight="bold")
    _draw_strip(figure, frames, video_index[query.video], MARGIN, top + 26, INK)
    for k in range(min(SHOWN_NEIGHBOURS, len(query.videos_K))):
        left = MARGIN + (k + 1) * (STRIP_W + STRIP_GAP)
        words, colour = shorten(legible(query.labels_K[k] or query.videos_K[k]), NAME_LENGTH), SOFT
        if query.right_K is not None:
            words, colour = (f"✓ right: {words}", RIGHT) if query.right_K[k] else (f"✗ wrong: {words}", WRONG)
        _write(figure, left, top + 18, words, colour, weight="bold")
        _write(figure, left + STRIP_W, top + 18, f"{query.similarity_K[k]:.2f}", SOFT, ha="right")
        _draw_strip(figure, frames, video_index[str(query.videos_K[k])], left, top + 26, colour)


def _draw_strip(figure: Figure, frames: FrameStore, video: int, left: int, top: int, colour: str) -> None:
    times = ((np.arange(FRAMES) + 0.5) / FRAMES * int(frames.table.frames[video])).astype(np.int64)
    strip = np.full((FRAME_H, STRIP_W, 3), 255, np.uint8)
    for t, frame in enumerate(frames.read(video, times)):
        x = t * (FRAME_W + FRAME_GAP)
        strip[:, x : x + FRAME_W] = fit_into_box(frame, FRAME_W, FRAME_H)
    w, h = figure.bbox.width, figure.bbox.height
    figure.figimage(strip, left, int(h) - top - FRAME_H)
    corner = (left / w, 1 - (top + FRAME_H) / h)
    figure.add_artist(Rectangle(corner, STRIP_W / w, FRAME_H / h, fill=False, ec=colour, lw=2.5))


def _write(figure: Figure, x: int, y: int, words: str, colour: str = INK, size: float = 11, **options: Any) -> None:
    figure.text(x / figure.bbox.width, 1 - y / figure.bbox.height, words, color=colour, size=size, **options)
