"""Draw retrieval filmstrips: test videos and their nearest training videos, as strips of frames.

Shapes: Q queries, K neighbours, N test videos, M training videos, D dimensions, T frames, H height, W width.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import matplotlib.style
import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mofore.embedding.store import Embeddings, TextArray, train_test
from mofore.evaluation.nearest import nearest
from mofore.frames.store import FramesArray, FrameStore
from mofore.report.style import BLUE, INK, RED, SOFT, STYLE, shorten
from mofore.utils.files import writing
from mofore.utils.text import counted

QUERIES = 8
NEIGHBOURS = 5  # found for each query
SHOWN_NEIGHBOURS = 3  # drawn in the picture
FRAMES = 4  # per strip
NAME_LENGTH = 26  # characters; longer names are cut
FRAME_W, FRAME_H, FRAME_GAP = 93, 70, 2  # pixels; FRAME_GAP is between the frames of a strip
STRIP_W = FRAMES * (FRAME_W + FRAME_GAP) - FRAME_GAP
MARGIN, STRIP_GAP, HEADER_H, ROW_H = 20, 16, 116, FRAME_H + 36  # pixels; a row holds one query
WIDTH = 2 * MARGIN + (1 + SHOWN_NEIGHBOURS) * STRIP_W + SHOWN_NEIGHBOURS * STRIP_GAP
RIGHT, WRONG = BLUE, RED
COLUMNS = ["query: a test video", "nearest training video", "second nearest", "third nearest"]


@dataclass(frozen=True)
class Retrieved:
    """A query and its nearest training videos.

    Attributes:
        video, label: name and class of the query.
        videos_K, labels_K, similarity_K: names, classes and cosine similarities of the neighbours, nearest first.
        right_K: whether each neighbour has the query's class; None without labels.
    """

    video: str
    label: str
    videos_K: TextArray
    labels_K: TextArray
    similarity_K: npt.NDArray[np.float32]
    right_K: npt.NDArray[np.bool_] | None


@dataclass(frozen=True)
class Examples:
    """The queries, and a description of how they were chosen."""

    queries: list[Retrieved]
    choice: str


def choose_examples(videos: Embeddings, seed: int) -> Examples:
    """Choose a few test videos and find their nearest training videos.

    With labels, classes are taken in the order of their retrieval error (R@1), largest first, so that mistakes are
    shown. Each class gives a random test video. With fewer classes than QUERIES, each gives a second one, and so on.
    Without labels, the test videos are random. The choice within a class ignores whether retrieval is right.

    Args:
        videos: one embedding per video, of both sides of the split.
        seed: seed of the random choice.

    Returns:
        QUERIES examples, or one for each test video if there are fewer; none if a side of the split is empty.
    """
    split = train_test(videos)
    train, test = split or (videos.rows(videos.split == "train"), videos.rows(videos.split == "test"))
    if not len(train.video) or not len(test.video):
        return Examples([], "There are no held-out videos to search with.")
    rng = np.random.default_rng(seed)
    n_tests = counted(len(test.video), "test video")
    if split is None:
        picked_Q = rng.permutation(len(test.video))[:QUERIES]
        choice = f"Queries: drawn at random (seed {seed}) of {n_tests}. There are no labels to tell right from wrong."
    else:
        rows_N1, _ = nearest(test.x_ND, train.x_ND, 1)
        wrong_N = train.label[rows_N1[:, 0]] != test.label
        classes = _hardest_first(test.label, wrong_N)
        picked_Q = _take_turns(test.label, classes, rng)
        choice = f"Queries: drawn at random (seed {seed}) from " + (
            f"the {QUERIES} of {len(classes)} classes that go wrong most often, so harder than average"
            if len(classes) > QUERIES
            else "each class"
        )
        choice += f". Of all {n_tests}, {1 - wrong_N.mean():.0%} find their own class first."
    queries = test.rows(picked_Q)
    rows_QK, similarity_QK = nearest(queries.x_ND, train.x_ND, NEIGHBOURS)
    found = [
        Retrieved(
            video=str(queries.video[q]),
            label=str(queries.label[q]),
            videos_K=train.video[rows_QK[q]],
            labels_K=train.label[rows_QK[q]],
            similarity_K=similarity_QK[q],
            right_K=None if split is None else train.label[rows_QK[q]] == queries.label[q],
        )
        for q in range(len(picked_Q))
    ]
    return Examples(found, choice)


def draw_filmstrips(videos: Embeddings, frames: FrameStore, picture: Path, seed: int) -> None:
    """Draw each query beside its nearest training videos, marked as right or wrong.

    Args:
        videos: one embedding per video, of both sides of the split.
        frames: frames of the same videos, matched by name.
        picture: JPEG file to write, 1600 pixels wide. The same input gives the same bytes.
        seed: seed of the choice of queries.
    """
    examples = choose_examples(videos, seed)
    height = HEADER_H + ROW_H * len(examples.queries)
    with matplotlib.style.context(["default", STYLE]):
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


def _hardest_first(label_N: TextArray, wrong_N: npt.NDArray[np.bool_]) -> list[str]:
    """Classes by their share of wrong videos, largest first; equal shares are ordered by name."""
    share = {str(label): float(wrong_N[label_N == label].mean()) for label in np.unique(label_N)}
    return sorted(share, key=lambda label: (-share[label], label))


def _take_turns(label_N: TextArray, classes: list[str], rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """QUERIES rows, or all if there are fewer: a random one of each class, then a second one of each, and so on."""
    shuffled = [rng.permutation(np.flatnonzero(label_N == label)).tolist() for label in classes]
    turns = [row for turn in itertools.zip_longest(*shuffled) for row in turn if row is not None]
    return np.array(turns[:QUERIES], dtype=np.int64)


def _draw_query(figure: Figure, query: Retrieved, frames: FrameStore, video_index: dict[str, int], top: int) -> None:
    _write(figure, MARGIN, top + 18, shorten(query.label or query.video, NAME_LENGTH), weight="bold")
    _draw_strip(figure, frames, video_index[query.video], MARGIN, top + 26, INK)
    for k in range(min(SHOWN_NEIGHBOURS, len(query.videos_K))):
        left = MARGIN + (k + 1) * (STRIP_W + STRIP_GAP)
        words, colour = shorten(query.labels_K[k] or query.videos_K[k], NAME_LENGTH), SOFT
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
