"""Writes made-up but plausible outputs of the stages that precede `plots` and `report`."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from mofore.evaluation.few_labels import COLUMNS

CLASSES = ["Bow", "Clap", "JumpingJack", "Kick", "Punch", "Run", "SitDown", "Squat", "StandUp", "Throw", "Walk", "Wave"]
SCORES = {  # top-1 of the linear probe for each representation; the other scores are computed from it
    "mofore": 0.91,
    "random_init": 0.74,
    "mofore_shuffled": 0.52,
    "mofore_still": 0.33,
    "metadata": 0.11,
    "appearance": 0.24,
    "motion": 0.63,
    "supervised": 0.95,
}
KS = [1, 5, 10, 20, 50]
ENCODERS = ["mofore", "random_init"]
FEW_ROWS = [*ENCODERS, "motion"]


def write_embeddings(path: Path, classes: list[str], per_class: int = 16, seed: int = 0) -> None:
    """Write embeddings that cluster by class. Half of each class is in the test split; `classes=[""]`: unlabelled."""
    rng = np.random.default_rng(seed)
    centres_CD = rng.normal(size=(len(classes), 32))
    rows = []
    for c, label in enumerate(classes):
        for i in range(per_class):
            group = f"g{i // 4:02d}"
            rows.append(
                {
                    "video": f"{label or 'clip'}/v_{group}_c{i:02d}.avi",
                    "label": label,
                    "group": group,
                    "split": "train" if i < per_class // 2 else "test",
                    "embedding": (centres_CD[c] + 1.6 * rng.normal(size=32)).astype(np.float32),
                }
            )
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_parquet(path, index=False)


def write_frames(folder: Path, embeddings: Path) -> None:
    """Write a frames folder for the videos of `embeddings`, with five gray frames each."""
    (folder / "packs").mkdir(parents=True)
    table = pd.read_parquet(embeddings).drop(columns="embedding")
    gray = [cv2.imencode(".jpg", np.full((48, 64, 3), 40 * t, np.uint8))[1].tobytes() for t in range(5)]
    (folder / "packs/pack-00000.bin").write_bytes(b"".join(gray))
    index = [(0, sum(map(len, gray[:t])), len(gray[t])) for _ in range(len(table)) for t in range(5)]
    np.save(folder / "packs/index.npy", np.array(index, dtype=np.int64))
    table.assign(frames=5, fps=25.0, width=64, height=48, status="ok", reason="").to_csv(
        folder / "videos.csv", index=False
    )


def write_map(results: Path, labels: list[str], per_class: int = 4) -> None:
    """Write `map.csv` with two videos per class and group; `labels=[""]`: unlabelled."""
    label = np.repeat(labels, per_class)
    group = [f"{name}_g{i % per_class // 2}" for i, name in enumerate(label)]
    text = {"video": [f"v{i}.avi" for i in range(len(label))], "label": label, "group": group, "split": "test"}
    x, y = np.random.default_rng(0).normal(size=(2, len(label)))
    pd.DataFrame(text | {"x": x, "y": y}).to_csv(results / "map.csv", index=False)


def write_results(results: Path, classes: list[str], epochs: int = 30, seed: int = 0) -> None:
    """Write all tables and scores of `results/` except the map; `classes=[]`: unlabelled videos."""
    results.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    _write_pretrain(results, epochs, rng)
    _write_scores(results, classes, rng)
    _write_times(results, bool(classes))


def _write_pretrain(results: Path, epochs: int, rng: np.random.Generator) -> None:
    fall = np.exp(-np.arange(epochs) / 8) + 0.01 * rng.normal(size=epochs)
    training = {
        "epoch": np.arange(1, epochs + 1),
        "loss": 1.3 + 3.0 * fall,
        "forecast_loss": 0.5 + 0.9 * fall,
        "contrast_loss": 0.8 + 2.1 * fall,
        "decorrelation_loss": 6 + 9 * fall,
        "contrastive_accuracy": 0.9 - 0.85 * fall,
        "effective_rank": 60 - 45 * fall,
        "spread": 0.95 - 0.4 * fall,
        "alignment": 0.5 + 0.4 * fall,
        "uniformity": -3 + 2 * fall,
        "gap": 22 + rng.normal(size=epochs),
        "lr": 1e-3 * np.linspace(1, 0, epochs),
        "momentum": np.linspace(0.9, 1, epochs),
        "knn": np.where(np.arange(1, epochs + 1) % 8 == 0, 0.8 - 0.5 * fall, np.nan),
    }
    pd.DataFrame(training).to_csv(results / "pretrain.csv", index=False)
    last = {name: float(values[-1]) for name, values in training.items() if name not in ("epoch", "knn")}
    last |= {"videos": 672, "videos_too_short": 0, "clips_per_second": 452.4, "seconds": 95.1, "data_wait": 0.005}
    (results / "pretrain.json").write_text(json.dumps(last))
    gap = np.arange(49)
    share = np.where(gap < 33, 1.0, np.exp((33 - gap) / 6))  # short videos cannot have the longest gaps
    _write_csv(results / "gaps.csv", ["gap", "share"], zip(gap, share / share.sum(), strict=True))


def _write_scores(results: Path, classes: list[str], rng: np.random.Generator) -> None:
    linear, knn, recall = {}, {}, []
    for row, top1 in SCORES.items():
        at_k = {k: 1 - (1.02 - top1) / k**0.6 for k in KS}
        main = {"top1": top1, "top5": at_k[5]}, {"top1": at_k[1], **{f"r_at_{k}": at_k[k] for k in KS}}
        linear[row], knn[row] = (_with_interval(scores) if classes else {} for scores in main)
        if classes and row != "mofore":
            linear[row] |= _lead(SCORES["mofore"] - top1)
            knn[row] |= _lead(SCORES["mofore"] - top1)
        recall += [(row, k, value, *_around(value)) for k, value in at_k.items() if classes]
    (results / "linear.json").write_text(json.dumps(linear))
    (results / "knn.json").write_text(json.dumps(knn))
    _write_csv(results / "retrieval.csv", ["encoder", "k", "recall", "low", "high"], recall)

    few = [
        (row, labels, top1, *_around(top1))
        for row in FEW_ROWS
        for labels, share in ((1, 0.5), (2, 0.6), (5, 0.8), (10, 0.9))
        for top1 in ([share * SCORES[row]] if classes else [])
    ]
    _write_csv(results / "few_labels.csv", list(COLUMNS), few)

    main_scores = [
        (row, measure, score, *_around(score))
        for measure, of_row in (("linear", linear), ("r_at_1", knn))
        for row, found in of_row.items()
        for score in ([found["top1"]] if found else [])
    ]
    lines = [*main_scores, ("mofore", "skill", 0.3, 0.25, 0.35), ("mofore", "effective_rank", 41.5, None, None)]
    _write_csv(results / "scores.csv", ["row", "measure", "score", "low", "high"], lines)

    for probe in ("linear", "knn"):
        scores = [
            (row, label, np.clip(SCORES[row] + rng.normal(0, 0.1), 0, 1)) for row in ENCODERS for label in classes
        ]
        rows = [(row, label, 16, score, *_around(score, 0.12)) for row, label, score in scores]
        _write_csv(results / f"classes_{probe}.csv", ["row", "label", "videos", "score", "low", "high"], rows)

    actual = np.repeat(classes, 16)
    guessed = rng.choice(classes, len(actual)) if classes else actual
    predicted = np.where(rng.random(len(actual)) < 0.9, actual, guessed)
    _write_csv(results / "confusion.csv", ["actual", "predicted"], zip(actual, predicted, strict=True))

    structure: dict[str, dict[str, Any]] = {}
    for row, score in SCORES.items():
        structure[row] = {"effective_rank": 40 * score, "uniformity": -3 * score}
        structure[row] |= _with_interval({"alignment": 1 - score}) if row in ENCODERS else {}
        for of, known in (("class", score), ("group", 0.3)):
            if classes or of == "group":
                structure[row] |= _with_interval({f"silhouette_{of}": known / 2})
                structure[row] |= {f"nmi_{of}": known, f"ari_{of}": known / 1.5}
    (results / "structure.json").write_text(json.dumps(structure))


def _write_times(results: Path, labelled: bool) -> None:
    """Write all measures over time. Without labels, pairs from different videos are not divided by class."""
    gap, position = np.arange(2, 58, 5), np.linspace(0.05, 0.95, 10)
    kinds = ["same_video", "same_class", "other_class"] if labelled else ["same_video", "other_videos"]
    levels = {"mofore": [0.73, *([0.4, 0.03] if labelled else [0.05])]}
    levels["random_init"] = [0.83, *([0.2, -0.01] if labelled else [0.0])]
    temporal = {
        f"{row}, {kind.replace('_', ' ')}": level + 0.2 * (np.exp(-gap / 30) - 0.5) * (kind == "same_video")
        for row, means in levels.items()
        for kind, level in zip(kinds, means, strict=True)
    }
    speed = {"mofore": 5 + 2 * np.sin(np.pi * position), "random_init": 3 + 0.2 * np.cos(np.pi * position)}
    forecast = {
        "against persistence": 0.05 + 0.5 * gap / 48,
        "against climatology": 0.75 - 0.3 * gap / 48,
        "against persistence, with a shuffled gap": -0.2 + 0.4 * gap / 48,
    }
    accuracy = {
        "among other videos": 0.7 - 0.2 * gap / 48,
        "among other moments of the video": 0.45 - 0.1 * gap / 48,
        "among other videos, by persistence": 0.6 - 0.3 * gap / 48,
        "among other moments of the video, by persistence": 0.3 - 0.1 * gap / 48,
    }
    _write_csv(results / "temporal.csv", ["series", "gap", "similarity", "low", "high"], _rows(temporal, gap))
    _write_csv(results / "speed.csv", ["encoder", "position", "speed", "low", "high"], _rows(speed, position, 0.4))
    rows = [(*row, row[1] <= 48) for row in _rows(forecast, gap)]
    _write_csv(results / "forecast.csv", ["series", "gap", "skill", "low", "high", "trained"], rows)
    rows = [(*row, 0.2 if "moments" in row[0] else 0.01, row[1] <= 48) for row in _rows(accuracy, gap)]
    _write_csv(results / "forecast_accuracy.csv", ["series", "gap", "share", "low", "high", "chance", "trained"], rows)

    stability: dict[str, dict[str, float]] = {}
    for row, means in levels.items():
        stability[row] = _with_interval(dict(zip(kinds, means, strict=True)) | {"margin": means[0] - means[-1]})
        stability[row] |= {
            "speed": float(speed[row].mean()),
            "margin_in_sd": 2.6,
            "effective_rank": 140.0,
            "spread": 0.94,
        }
    (results / "temporal.json").write_text(json.dumps(stability))
    skill = {"skill_persistence": 0.3, "skill_climatology": 0.6, "skill_shuffled_gap": 0.0, "gap_use": 0.3}
    accuracies = {"accuracy_videos": 0.6, "accuracy_moments": 0.4, "accuracy_videos_persistence": 0.45}
    more = {
        "accuracy_videos_chance": 0.01,
        "accuracy_moments_chance": 0.2,
        "pairs": 4704,
        "gap_mean": 15.8,
        "trained": 0.97,
    }
    (results / "forecast.json").write_text(json.dumps({"mofore": _with_interval(skill | accuracies) | more}))

    measures: dict[str, Any] = {}
    for row, (same, different) in {"mofore": (0.96, 0.31), "random_init": (0.99, 0.87)}.items():
        cosines = {"same_video": same, "temporal_consistency": same - 0.1}
        cosines |= {"same_class": (same + different) / 2, "different_class": different} if labelled else {}
        measures[row] = _with_interval({"forecasting_error": 0.04, "forecasting_error_relative": 0.4} | cosines)
        measures[row] |= {"effective_rank": 140.0, "spread": 0.94}
    (results / "paper.json").write_text(json.dumps(measures))


def _rows(lines: dict[str, Any], x: Any, half: float = 0.05) -> list[tuple[Any, ...]]:
    return [(name, at, y, y - half, y + half) for name, line in lines.items() for at, y in zip(x, line, strict=True)]


def _around(share: float, half: float = 0.05) -> tuple[float, float]:
    return max(share - half, 0.0), min(share + half, 1.0)


def _with_interval(scores: dict[str, float]) -> dict[str, float]:
    named: dict[str, float] = {}
    for name, value in scores.items():
        named |= {name: value, f"{name}_low": value - 0.05, f"{name}_high": min(value + 0.05, 1.0)}
    return named


def _lead(lead: float) -> dict[str, float]:
    return {"lead": lead, "lead_low": lead - 0.05, "lead_high": lead + 0.05}


def _write_csv(path: Path, columns: list[str], rows: Any) -> None:
    pd.DataFrame(list(rows), columns=columns).to_csv(path, index=False)
