"""Select the headline numbers by which experiments are compared.

`dvc exp show` and `dvc metrics diff` print every number of `results/metrics.json`, so there are few.
`results/scores.csv` has the main scores of every representation with their intervals. Sweeps and ablations read it
from the commits of experiments.
"""

import pandas as pd

from mofore.report.results import Results, Scores

DECIMALS = 3
SCORE_SOURCES = {  # column `measure` of results/scores.csv: the results file and the key of the score in it
    "linear": ("linear", "top1"),
    "r_at_1": ("knn", "r_at_1"),
    "skill": ("forecast", "skill_persistence"),
}


def headline_metrics(results: Results) -> dict[str, float]:
    """The headline numbers, the most important first. Numbers that the run could not measure are absent.

    Returns:
        linear: top-1 accuracy of the linear probe, 0 to 1;
        lin-rand, lin-motion: its lead over random weights and over hand-made motion, -1 to 1;
        lin-shipped: its lead over the shipped encoder, -1 to 1; absent if training started with random weights;
        R@1, R@1-rand, R@1-motion, R@1-shipped: retrieval at 1 and the same leads;
        skill: forecast skill against persistence, at most 1;
        gap_use: skill against the same forecast with a shuffled gap, at most 1;
        margin: temporal stability, in standard deviations of the similarity of unlike clips;
        rank: effective rank of the last targets of pretraining;
        seconds: duration of pretraining;
        clips/s: speed of pretraining.
    """
    found = {
        "linear": _score_of(results.linear, "mofore", "top1"),
        "lin-rand": _score_of(results.linear, "random_init", "lead"),
        "lin-motion": _score_of(results.linear, "motion", "lead"),
        "lin-shipped": _score_of(results.linear, "shipped", "lead"),
        "R@1": _score_of(results.knn, "mofore", "r_at_1"),
        "R@1-rand": _score_of(results.knn, "random_init", "lead"),
        "R@1-motion": _score_of(results.knn, "motion", "lead"),
        "R@1-shipped": _score_of(results.knn, "shipped", "lead"),
        "skill": _score_of(results.forecast, "mofore", "skill_persistence"),
        "gap_use": _score_of(results.forecast, "mofore", "gap_use"),
        "margin": _score_of(results.temporal, "mofore", "margin_in_sd"),
        "rank": results.pretrain.get("effective_rank"),
        "seconds": results.pretrain.get("seconds"),
        "clips/s": results.pretrain.get("clips_per_second"),
    }
    return {name: round(value, DECIMALS) for name, value in found.items() if value is not None}


def score_table(results: Results) -> pd.DataFrame:
    """The main scores of every representation.

    Returns:
        Columns row (the representation), measure (a key of SCORE_SOURCES, or effective_rank), score, low, high. low
        and high are the 95 % interval over groups; the effective rank has none.
    """
    lines: list[tuple[str, str, float, float | None, float | None]] = []
    for measure, (file, name) in SCORE_SOURCES.items():
        scores: Scores = getattr(results, file)
        for row, values in scores.items():
            if name in values:
                lines.append((row, measure, values[name], values[f"{name}_low"], values[f"{name}_high"]))
    if "effective_rank" in results.pretrain:
        lines.append(("mofore", "effective_rank", results.pretrain["effective_rank"], None, None))
    return pd.DataFrame(lines, columns=["row", "measure", "score", "low", "high"])


def _score_of(scores: Scores, row: str, name: str) -> float | None:
    return scores.get(row, {}).get(name)
