"""Stands in for the stages before `plots`: their files, with made-up but plausible numbers."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

CLASSES = ["Bow", "Clap", "JumpingJack", "Kick", "Punch", "Run", "SitDown", "Squat", "StandUp", "Throw", "Walk", "Wave"]
MEASURES = ["top1", "r_at_1", "r_at_5", "r_at_10", "r_at_20", "r_at_50"]


def write_embeddings(path: Path, classes: list[str], per_class: int = 16, seed: int = 0) -> None:
    """Half of the videos of each class are test videos; `classes=[""]` makes them unlabelled."""
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


def write_results(results: Path, classes: list[str], epochs: int = 30, seed: int = 0) -> None:
    """All of `results/` that the overview reads, but the map; `classes=[]` stands for unlabelled videos."""
    results.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    fall = np.exp(-np.arange(epochs) / 8) + 0.01 * rng.normal(size=epochs)
    training = {
        "epoch": np.arange(1, epochs + 1),
        "loss": 1.3 + 3.0 * fall,
        "forecast_loss": 0.5 + 0.9 * fall,
        "contrast_loss": 0.8 + 2.1 * fall,
        "decorrelation_loss": 6 + 9 * fall,
        "picked": 0.9 - 0.85 * fall,
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

    gaps = np.arange(2, 48, 5)
    temporal = {
        "mofore, same video": 0.55 + 0.35 * np.exp(-gaps / 30),
        "mofore, other videos": np.full(len(gaps), 0.05),
        "random_init, same video": 0.93 + 0.04 * np.exp(-gaps / 30),
        "random_init, other videos": np.full(len(gaps), 0.82),
    }
    rows = [(name, gap, value) for name, line in temporal.items() for gap, value in zip(gaps, line, strict=True)]
    pd.DataFrame(rows, columns=["series", "gap", "similarity"]).to_csv(results / "temporal.csv", index=False)

    ks = [1, 5, 10, 20, 50] if classes else []
    recall = [("mofore", k, 1 - 0.12 / k**0.6) for k in ks] + [("random_init", k, 1 - 0.56 / k**0.5) for k in ks]
    pd.DataFrame(recall, columns=["encoder", "k", "recall"]).to_csv(results / "retrieval.csv", index=False)

    actual = np.repeat(classes, 16)
    guessed = rng.choice(classes, len(actual)) if classes else actual
    predicted = np.where(rng.random(len(actual)) < 0.9, actual, guessed)
    pd.DataFrame({"actual": actual, "predicted": predicted}).to_csv(results / "confusion.csv", index=False)

    scores = {"mofore": 0.91, "random_init": 0.44}
    linear = {encoder: {"top1": score} if classes else {} for encoder, score in scores.items()}
    knn = {encoder: dict.fromkeys(MEASURES, score) if classes else {} for encoder, score in scores.items()}
    (results / "linear.json").write_text(json.dumps(linear))
    (results / "knn.json").write_text(json.dumps(knn))
