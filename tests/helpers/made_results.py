"""Made-up results of a run without any problem. Tests change one number and check what the report says."""

import numpy as np
import pandas as pd

from mofore.embedding.store import Embeddings
from mofore.report.results import PaperResults, Results, Scores

CONTROLS = ("random_init", "mofore_shuffled", "mofore_still", "metadata", "appearance", "motion", "motion_appearance")


def with_intervals(half: float = 0.02, **scores: float) -> dict[str, float]:
    """Return scores together with their intervals of half-width `half`."""
    intervals = {f"{name}_low": value - half for name, value in scores.items()}
    return scores | intervals | {f"{name}_high": value + half for name, value in scores.items()}


def make_videos(classes: int = 2, groups: int = 10, videos: int = 100, train: int = 300) -> Embeddings:
    """Make test videos, spread over groups and classes, and training videos of the same classes."""
    number = np.arange(train + videos)
    split = np.where(number < train, "train", "test")
    group = np.where(number < train, "g-train", np.char.add("g", (number % groups).astype(str)))
    label = np.char.add("class", (number % classes).astype(str))
    return Embeddings(np.zeros((len(number), 1), np.float32), number.astype(str), label, group, split)


def make_results() -> Results:
    """Make results on labelled videos. The encoder clearly beats every control, and no warning applies."""

    def scores(name: str) -> Scores:
        controls = {row: with_intervals(**{name: 0.6, "lead": 0.3}) for row in CONTROLS}
        return (
            {"mofore": with_intervals(**{name: 0.9})}
            | controls
            | {"supervised": with_intervals(**{name: 0.95, "lead": -0.05})}
        )

    alive = {"effective_rank": 40.0, "spread": 0.8}
    return Results(
        linear=scores("top1"),
        knn=scores("r_at_1"),
        temporal={
            "mofore": with_intervals(margin=0.5) | alive | {"margin_in_sd": 3.0},
            "random_init": with_intervals(margin=0.7) | alive | {"margin_in_sd": 1.0},
        },
        forecast={"mofore": with_intervals(skill_persistence=0.4, skill_climatology=0.5, gap_use=0.1)},
        structure={
            "mofore": with_intervals(silhouette_class=0.3, silhouette_group=0.1),
            "random_init": with_intervals(silhouette_class=0.1, silhouette_group=0.2),
        },
        paper=PaperResults(
            rows={
                "mofore": with_intervals(same_video=0.95, different_class=0.2) | alive,
                "random_init": with_intervals(same_video=0.99, different_class=0.9) | alive,
            },
            examples={},
            published={},
        ),
        pretrain=dict(alive),
        tables={},
        videos=pd.DataFrame(
            {"video": ["a", "b"], "status": ["ok", "ok"], "reason": ["", ""], "frames": [9, 9], "fps": [25.0, 30.0]}
        ),
        embedded=make_videos(),
        too_short=pd.DataFrame({"video": [], "frames": [], "reason": []}),
    )
