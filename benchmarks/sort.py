"""What `mofore sort` is worth: labels of a few videos in, the labels of groups without any label out.

    python benchmarks/sort.py TABLE LABELS.csv [--labels 5 10 40] [--draws 40]

TABLE is what `mofore embed` wrote, LABELS.csv has the labels and groups of all its videos. In each draw, videos of half
of the groups, drawn at random, are labelled, so many of each class; the videos of the other half are scored. Classes
with fewer videos in that half have all of them labelled. Prints, as means over draws: the share of right labels, the
calibration error, what cross-validation made expect, and in how many draws its 95 % interval held the share of right
labels. The last line of the output is JSON.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from mofore.collection.few_labels import calibration_error
from mofore.collection.sort import sort_collection


def draw(truth: pd.DataFrame, per_class: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows that are labelled, and those of the groups that have no label."""
    rng = np.random.default_rng(seed)
    groups = truth.group.unique()
    labelled = truth.group.isin(rng.permutation(groups)[: len(groups) // 2])
    shuffled = truth[labelled].iloc[rng.permutation(int(labelled.sum()))]
    return shuffled.groupby("label").head(per_class), truth[~labelled]


def score(table: Path, given: pd.DataFrame, others: pd.DataFrame, folder: Path) -> dict[str, float]:
    """One draw: see the module; `held` is nan if there are too few labels for an interval."""
    given.to_csv(folder / "given.csv", index=False)
    result = sort_collection(table, folder / "given.csv")
    found = result.table.set_index("path").reindex(others.path)
    hit_N = (found.label.to_numpy() == others.label.to_numpy()).astype(bool)
    error = calibration_error(found.probability.to_numpy(), hit_N)
    row = {"right": float(hit_N.mean()), "off_by": error, "expected": np.nan, "low": np.nan, "high": np.nan}
    if expected := result.expected:
        row |= {"expected": expected.accuracy, "low": expected.low, "high": expected.high}
    return row | {"held": float(row["low"] <= row["right"] <= row["high"]) if result.expected else np.nan}


def main() -> None:
    """Print a row for each number of labels."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="of `mofore embed`")
    parser.add_argument("truth", type=Path, help="CSV with columns path, label and group, of all videos")
    parser.add_argument("--labels", type=int, nargs="+", default=[5, 10, 40], help="of each class")
    parser.add_argument("--draws", type=int, default=40, help="of groups and labels")
    args = parser.parse_args()
    truth = pd.read_csv(args.truth, dtype=str, keep_default_na=False)
    truth["path"] = [str((args.truth.absolute().parent / path).resolve()) for path in truth.path]
    everything = {}
    with tempfile.TemporaryDirectory() as folder:
        for per_class in args.labels:
            rows = pd.DataFrame(
                [score(args.table, *draw(truth, per_class, seed), Path(folder)) for seed in range(args.draws)]
            )
            everything[per_class] = rows.mean().round(4).to_dict()
            print(f"{per_class:4} labels a class  " + "  ".join(f"{k} {v:.3f}" for k, v in rows.mean().items()))
    print(json.dumps({"draws": args.draws, "labels": everything}))


if __name__ == "__main__":
    main()
