"""Read the results of all stages before `report`."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mofore.embedding.store import EMBEDDINGS, Embeddings, read_embeddings
from mofore.embedding.streams import StreamChoice, read_choice
from mofore.errors import UserError
from mofore.evaluation.grouped_split import divided_groups, with_grouped_split
from mofore.frames.store import TEXT as VIDEO_TEXT
from mofore.utils.tables import read_table

RESULTS = Path("results")
SCORES = ("linear", "knn", "temporal", "forecast", "structure")
TABLES = (
    *("pretrain", "gaps", "forecast", "forecast_accuracy", "temporal", "speed", "retrieval", "few_labels"),
    *("classes_linear", "classes_knn", "confusion", "map"),
)
ROW_NAMES = {  # names of the representations in the report
    "mofore": "MoFore",
    "random_init": "random weights",
    "mofore_shuffled": "shuffled frames",
    "mofore_still": "a still frame",
    "metadata": "file metadata",
    "appearance": "mean frame",
    "motion": "hand-made motion",
    "motion_appearance": "motion + mean frame",
    "shipped": "shipped encoder",
    "supervised": "trained on labels",
}
ROW_DESCRIPTIONS = {
    "mofore": "the encoder, pretrained without labels",
    "random_init": "the same network with random weights: what all training has added",
    "mofore_shuffled": "the pretrained encoder, frames of each clip in random order: whether order counts",
    "mofore_still": "the pretrained encoder, the middle frame of each clip repeated: whether motion counts",
    "metadata": "frame size, length and frame rate, no pixels: what the files alone reveal",
    "appearance": "the mean frame: what scene and clothes reveal",
    "motion": "histograms of frame differences and optical flow: motion without learning",
    "motion_appearance": "these histograms and the mean frame side by side: the strongest that needs no learning",
    "shipped": "the encoder that pretraining starts with, untouched: what training on your videos has added",
    "supervised": "the same network trained on the labels: a ceiling, not a control",
}

Scores = dict[str, dict[str, float]]  # {representation: {score: value}}; empty if it could not be scored


@dataclass
class PaperResults:
    """`results/paper.json`: the measures of the paper.

    Attributes:
        rows: of all test videos, by representation.
        examples: of the paper's own three videos, by representation; empty if they are not among the videos.
        published: the paper's own values; empty unless the videos are UCF101's.
    """

    rows: Scores
    examples: Scores
    published: dict[str, float]


@dataclass
class Results:
    """The results of a run.

    Attributes:
        linear, knn, temporal, forecast, structure: `results/NAME.json`.
        paper: `results/paper.json`.
        pretrain: `results/pretrain.json`, the numbers of the last epoch.
        tables: `results/NAME.csv` by name; a table has no rows if there was nothing to measure.
        videos: `data/frames/videos.csv`, every video found, used or not.
        embedded: the embedded videos, which are those that were scored.
        too_short: usable videos shorter than one clip, with columns video, frames, reason.
        divided_groups: number of groups of the source that have videos in both splits; 0 unless `data.split` is random.
        streams: those in the embeddings, and why; None if the encoder has one stream.
        random_split: the split is not that of the source, so `data.split` is random.
    """

    linear: Scores
    knn: Scores
    temporal: Scores
    forecast: Scores
    structure: Scores
    paper: PaperResults
    pretrain: dict[str, float]
    tables: dict[str, pd.DataFrame]
    videos: pd.DataFrame
    embedded: Embeddings
    too_short: pd.DataFrame
    divided_groups: int = 0
    random_split: bool = False
    streams: StreamChoice | None = None


def read_results() -> Results:
    """Read `results/` and the lists of videos in the working directory.

    Raises:
        UserError: a file is missing.
    """
    paper = _read_json("paper")
    examples, published = paper.pop("examples", {}), paper.pop("paper", {})
    embedded = read_embeddings(EMBEDDINGS, "mofore")
    grouped = with_grouped_split(embedded)
    return Results(
        **{name: _read_json(name) for name in SCORES},
        paper=PaperResults(paper, examples, published),
        pretrain=_read_json("pretrain"),
        tables={name: read_table(RESULTS / f"{name}.csv") for name in TABLES},
        videos=read_table(Path("data/frames/videos.csv"), {*VIDEO_TEXT}),
        embedded=embedded,
        too_short=read_table(EMBEDDINGS / "left_out.csv", {"video", "reason"}),
        divided_groups=divided_groups(embedded, grouped) if grouped else 0,
        random_split=grouped is not None,
        streams=read_choice(EMBEDDINGS),
    )


def _read_json(name: str) -> dict[str, Any]:
    path = RESULTS / f"{name}.json"
    if not path.exists():
        raise UserError(f"{path}: no such file: run `dvc repro`")
    return dict(json.loads(path.read_text("utf-8")))
