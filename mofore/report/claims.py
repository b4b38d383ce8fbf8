"""Decide by fixed rules what the results show: the verdict, and each claim of the paper.

`mofore.report.decide` has the rule by which MoFore beats a control.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from mofore.embedding.geometry import collapse
from mofore.embedding.store import Embeddings, train_test
from mofore.evaluation.bootstrap import FEW_GROUPS
from mofore.report.comparisons import MAIN_SCORES, WITHOUT_MOTION, Comparison, with_controls
from mofore.report.decide import Answer, decide, weakest
from mofore.report.results import ROW_NAMES, Results
from mofore.report.training_gain import training_gain
from mofore.utils.text import counted

NEEDS_LABELS = "that needs training videos of two classes, and test videos with a label"


@dataclass(frozen=True)
class Claim:
    """A claim of the paper, whether this run supports it, and the numbers for the answer."""

    claim: str
    answer: Answer
    evidence: str


def with_interval(scores: dict[str, float], name: str, form: str = ".2f") -> str:
    """Format a score with its interval, such as `0.91 (0.88 to 0.94)`."""
    value, low, high = (format(scores[name + end], form) for end in ("", "_low", "_high"))
    return f"{value} ({low} to {high})"


def chance(videos: Embeddings) -> dict[str, float]:
    """Accuracy of guessing, 0 to 1.

    Returns:
        top1: accuracy of always predicting the most common class of the training videos.
        r_at_1: expected accuracy if a random training video is the nearest.
        Empty if there are no labels to score with.
    """
    split = train_test(videos)
    if split is None:
        return {}
    train, test = (Counter(side.label.tolist()) for side in split)
    n_train, n_test = train.total(), test.total()
    common = min(train, key=lambda label: (-train[label], label))
    return {"top1": test[common] / n_test, "r_at_1": sum(test[c] * train[c] for c in test) / n_test / n_train}


def verdict(results: Results) -> list[str]:
    """Summarise the run in a few sentences, the most important first.

    Returns:
        MoFore against its controls; what training has made of the shipped encoder, before that if it is harm; MoFore's
        scores, its streams, a warning if training collapsed, and its forecasts.
    """
    forecast = _forecast_in_words(results)
    if not results.linear["mofore"]:
        return [f"No verdict on how well the embeddings separate classes: {NEEDS_LABELS}.", forecast]
    test, chance_scores = results.embedded.labelled("test"), chance(results.embedded)
    top1 = with_interval(results.linear["mofore"], "top1", ".0%")
    r_at_1 = with_interval(results.knn["mofore"], "r_at_1", ".0%")
    n_groups = len(np.unique(test.group))
    few = f" With {counted(n_groups, 'held-out group')}, that is not settled." if n_groups < FEW_GROUPS else ""
    sentences = [
        _against_controls(with_controls(results)),
        f"A linear classifier on its frozen embeddings names {top1} of {len(test.label):,} held-out videos right, by "
        f"chance {chance_scores['top1']:.0%}; the nearest training video is of the right class for {r_at_1}, by chance "
        f"{chance_scores['r_at_1']:.0%}. (In brackets: 95 % intervals.)",
    ]
    if gain := training_gain(results):
        sentences.insert(0 if gain.harm else 1, str(gain))
    sentences[0] += few
    if results.streams:
        sentences.append(f"The embeddings have {results.streams}.")
    if collapsed(results):
        sentences.append("The training collapsed.")
    return [*sentences, forecast]


def _against_controls(compared: list[Comparison]) -> str:
    """Name the controls that beat MoFore; or those not clearly beaten; or, if all are beaten, the strongest ones."""
    for answer, words in (("no", "is beaten by"), ("not clear", "is not clearly better than")):
        found = [c for c in compared if c.answer == answer]
        rows = list(dict.fromkeys(c.row for c in found))
        if rows:
            scores = {
                row: ", ".join(
                    f"{c.measure} {c.control:.0%} against MoFore's {c.mofore:.0%}" for c in found if c.row == row
                )
                for row in rows
            }
            controls = " and ".join(f"{ROW_NAMES[row]} ({scores[row]})" for row in rows)
            return f"MoFore {words} {'a control' if len(rows) == 1 else f'{len(rows)} controls'}: {controls}."
    if not compared:
        return "No control differs from video to video, so none tells what MoFore's scores are worth."
    best = [max((c for c in compared if c.measure == m), key=lambda c: c.control) for _, m in MAIN_SCORES.values()]
    strongest = " and ".join(f"{ROW_NAMES[c.row]} ({c.measure} {c.control:.0%})" for c in best)
    return f"MoFore is clearly better than all {len({c.row for c in compared})} controls; the strongest: {strongest}."


def _forecast_in_words(results: Results) -> str:
    scores = results.forecast["mofore"]
    if "skill_persistence" not in scores:
        return "Its forecasts could not be scored."
    answer = decide(scores["skill_persistence_low"], scores["skill_persistence_high"])
    closer = {"yes": "closer", "no": "less close", "not clear": "not clearly closer"}[answer]
    skill = with_interval(scores, "skill_persistence")
    return f"Its forecasts are {closer} to the true future than the present is: skill against persistence {skill}."


def collapsed(results: Results) -> str:
    """Why the embeddings of the last pretraining epoch count as collapsed; empty if they do not."""
    return collapse(results.pretrain["effective_rank"], results.pretrain["spread"])


def claims(results: Results) -> list[Claim]:
    """Check each claim of the paper."""
    compared = with_controls(results)
    without_motion = [c for c in compared if c.measure == "retrieval R@1" and c.row in WITHOUT_MOTION]
    ways = " and ".join(WITHOUT_MOTION[c.row] for c in without_motion) or "without motion"
    return [
        _controls_claim("Linear classification and nearest neighbours beat every control", compared),
        _controls_claim(f"Retrieval goes by motion: it is worse {ways}", without_motion),
        _forecast_claim(results),
        _stability_claim(results),
        _structure_claim(results),
    ]


def _controls_claim(claim: str, compared: list[Comparison]) -> Claim:
    """Check that MoFore clearly beats every control in `compared`."""
    if not compared:
        return Claim(claim, "not measured", NEEDS_LABELS)
    for answer in ("no", "not clear"):
        if failed := [c for c in compared if c.answer == answer]:
            return Claim(claim, failed[0].answer, "; ".join(f"{ROW_NAMES[c.row]}: {c}" for c in failed))
    least = min(compared, key=lambda c: c.lead)
    return Claim(claim, "yes", f"smallest lead, over {ROW_NAMES[least.row]}: {least}")


def _forecast_claim(results: Results) -> Claim:
    claim = "Forecasts are closer to the true future than persistence and climatology are"
    scores = results.forecast["mofore"]
    names = [name for name in ("skill_persistence", "skill_climatology") if name in scores]
    if not names:
        return Claim(claim, "not measured", "no video has room for two clips that do not overlap")
    answers = [decide(scores[f"{name}_low"], scores[f"{name}_high"]) for name in names]
    evidence = "; ".join(f"skill against {name.removeprefix('skill_')} {with_interval(scores, name)}" for name in names)
    return Claim(claim, weakest(answers), evidence)


def _stability_claim(results: Results) -> Claim:
    """Check the margin and the effective rank: a collapsed encoder can also have a large margin."""
    claim = (
        "Embeddings are stable over time: clips of one video stand out, more than with random weights, not by collapse"
    )
    mofore, random = results.temporal["mofore"], results.temporal["random_init"]
    if "margin_in_sd" not in mofore:
        return Claim(claim, "not measured", "there are no two clips of a video that do not overlap, or no two groups")
    evidence = (
        f"clips of one video are more alike than those of others by {with_interval(mofore, 'margin')}, that is "
        f"{mofore['margin_in_sd']:.1f} standard deviations of the latter; with random weights by "
        f"{random['margin']:.2f}, that is {random['margin_in_sd']:.1f}; effective rank {mofore['effective_rank']:.0f}, "
        f"with random weights {random['effective_rank']:.0f}"
    )
    if collapse(mofore["effective_rank"], mofore["spread"]) or mofore["margin_in_sd"] <= random["margin_in_sd"]:
        return Claim(claim, "no", evidence)
    return Claim(claim, decide(mofore["margin_low"], mofore["margin_high"]), evidence)


def _structure_claim(results: Results) -> Claim:
    claim = "Classes form islands in the embedding space, more than with random weights and more than recordings do"
    mofore, random = results.structure["mofore"], results.structure["random_init"]
    if "silhouette_class" not in mofore:
        return Claim(claim, "not measured", "there are no two classes")
    trained, before = mofore["silhouette_class"], random["silhouette_class"]
    evidence = f"silhouette by class {with_interval(mofore, 'silhouette_class')}, with random weights {before:.2f}"
    answer = decide(mofore["silhouette_class_low"], mofore["silhouette_class_high"], max(0.0, before))
    if "silhouette_group" in mofore:
        evidence += f"; by group within a class {mofore['silhouette_group']:.2f}"
        answer = "no" if mofore["silhouette_group"] >= trained else answer
    return Claim(claim, answer, evidence)
