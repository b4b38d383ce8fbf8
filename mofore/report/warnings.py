"""Warnings of the report: reasons to doubt the results, found by fixed rules, the most serious first."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mofore.evaluation.bootstrap import FEW_GROUPS
from mofore.frames.outcome import SIMILAR_FPS
from mofore.report.claims import chance, collapsed, with_interval
from mofore.report.comparisons import IF_NOT_BEATEN, MAIN_SCORES, with_controls, with_shipped
from mofore.report.decide import decide
from mofore.report.results import ROW_NAMES, Results
from mofore.report.training_gain import training_gain
from mofore.utils.text import counted

FEW_VIDEOS = 100  # with fewer, the interval of an accuracy of 50 % reaches 10 points or more to either side
SMALL_LEAD = 0.03  # a smaller lead may come from the seed alone
HIGH_SIMILARITY = 0.9  # cosine of two embeddings of one video; from here on, collapse is a possible reason
HIGH_BETWEEN_CLASSES = 0.5  # cosine of videos of two classes; below it they are clearly apart
MIN_GAP_USE = 0.01  # skill over forecasts with a shuffled gap; below this the gap hardly matters


@dataclass(frozen=True)
class Caution:
    """A warning: what is wrong, and why it matters or what to do."""

    what: str
    why: str


def cautions(results: Results) -> list[Caution]:
    """All warnings, the most serious first; empty if there is no reason to doubt the results."""
    rules = (
        _collapse,
        _alike_by_collapse,
        _random_split,
        _harm,
        _controls,
        _chance,
        _forecast,
        _gap_use,
        _groups_over_classes,
        _few_test_videos,
        _frame_rates,
        _small_lead,
        _unlabelled,
        _unusable_videos,
    )
    return [caution for rule in rules for caution in rule(results)]


def _collapse(results: Results) -> Iterator[Caution]:
    if reason := collapsed(results):
        yield Caution(
            f"The embeddings have collapsed: {reason}",
            "They hardly differ from one another. Raise contrast.weight or decorrelation.weight, or lower pretrain.lr.",
        )


def _alike_by_collapse(results: Results) -> Iterator[Caution]:
    """Warn if training has made views of one video alike, but those of other classes, too, and in fewer directions."""
    mofore, random = results.paper.rows["mofore"], results.paper.rows["random_init"]
    if not {"same_video", "different_class"} <= mofore.keys():
        return
    between, between_before = mofore["different_class"], random["different_class"]
    alike = mofore["same_video"] >= HIGH_SIMILARITY and between >= HIGH_BETWEEN_CLASSES and between > between_before
    if alike and mofore["effective_rank"] < random["effective_rank"]:
        yield Caution(
            "Embeddings of one video are alike, but so are those of other classes",
            f"Same-video similarity {mofore['same_video']:.4f} says little: that of different classes is "
            f"{between:.4f}, with random weights {between_before:.4f}; effective rank "
            f"{mofore['effective_rank']:.1f}, with random weights {random['effective_rank']:.1f}. That is what partial "
            "collapse looks like. Raise contrast.weight or decorrelation.weight.",
        )


def _random_split(results: Results) -> Iterator[Caution]:
    """Warn of recordings in both splits, with the scores of the same encoder on the split by group."""
    if not results.divided_groups:
        if results.random_split:
            yield Caution(
                "data.split is random",
                "Videos have no groups that would tell which recordings are in train and in test. Test videos of such "
                "a recording are found by their scene. Only for comparison with the paper, which splits like this.",
            )
        return
    worth = "; ".join(
        f"{measure} {scores['mofore'][name]:.1%} here, {scores['mofore'][f'grouped_{name}']:.1%} on the split that "
        "keeps recordings apart"
        for scores, (name, measure) in (
            (results.linear, MAIN_SCORES["linear"]),
            (results.knn, MAIN_SCORES["knn"]),
        )
        if f"grouped_{name}" in scores["mofore"]
    )
    yield Caution(
        f"{counted(results.divided_groups, 'recording')} in train and in test: data.split is random",
        f"Test videos are found by their scene. {worth + ', same encoder. ' if worth else ''}Only for comparison with "
        "the paper, which splits like this; intervals count every video as independent.",
    )


def _frame_rates(results: Results) -> Iterator[Caution]:
    rates = results.videos.loc[results.videos["frames"] > 0, "fps"]
    rates = rates[rates > 0]
    if len(rates) and rates.max() > SIMILAR_FPS * rates.min():
        yield Caution(
            f"Frame rates from {rates.min():g} to {rates.max():g} per second",
            "Clips and gaps count frames, so they last differently from video to video: set frames.fps to resample.",
        )


def _harm(results: Results) -> Iterator[Caution]:
    gain = training_gain(results)
    if gain and gain.harm:
        yield Caution(gain.what, f"{gain.by_how_much}. {gain.advice}")


def _controls(results: Results) -> Iterator[Caution]:
    """Warn of every control that beats MoFore in a score, or that MoFore does not clearly beat."""
    compared = with_controls(results)
    for answer, words in (("no", "is beaten by"), ("not clear", "does not clearly beat")):
        for row, meaning in IF_NOT_BEATEN.items():
            found = [c for c in compared if c.row == row and c.answer == answer]
            if found:
                scores = "; ".join(map(str, found))
                yield Caution(f"MoFore {words} {ROW_NAMES[row]}", f"{scores}. So far as this score sees, {meaning}.")


def _chance(results: Results) -> Iterator[Caution]:
    chance_scores = chance(results.embedded)
    for scores, (name, measure) in (
        (results.linear["mofore"], MAIN_SCORES["linear"]),
        (results.knn["mofore"], MAIN_SCORES["knn"]),
    ):
        if scores and decide(scores[f"{name}_low"], scores[f"{name}_high"], chance_scores[name]) != "yes":
            yield Caution(
                f"Not clearly better than chance in {measure}",
                f"{with_interval(scores, name, '.1%')}; chance is {chance_scores[name]:.1%}.",
            )


def _forecast(results: Results) -> Iterator[Caution]:
    scores = results.forecast["mofore"]
    for reference in ("persistence", "climatology"):
        name = f"skill_{reference}"
        answer = decide(scores[f"{name}_low"], scores[f"{name}_high"]) if name in scores else "yes"
        if answer != "yes":
            relation = "are worse than" if answer == "no" else "do not clearly beat"
            yield Caution(
                f"The forecasts {relation} {reference}",
                f"Skill {with_interval(scores, name)}; 0 would be as good as {reference}.",
            )


def _gap_use(results: Results) -> Iterator[Caution]:
    scores = results.forecast["mofore"]
    if "gap_use" in scores and decide(scores["gap_use_low"], scores["gap_use_high"], MIN_GAP_USE) != "yes":
        yield Caution(
            "The predictor hardly uses the gap",
            "With the gap of another pair, its forecasts are about as good: skill "
            f"{with_interval(scores, 'gap_use', '.3f')}. It forecasts an average future.",
        )


def _groups_over_classes(results: Results) -> Iterator[Caution]:
    scores = results.structure["mofore"]
    by_class, by_group = scores.get("silhouette_class"), scores.get("silhouette_group")
    if by_class is not None and by_group is not None and by_group > by_class:
        yield Caution(
            "Videos lie closer by group than by class",
            f"Silhouette by group within a class {by_group:.2f}, by class {by_class:.2f}: the embedding encodes the "
            "recording (scene, person, camera) more than the action.",
        )


def _few_test_videos(results: Results) -> Iterator[Caution]:
    test = results.embedded.labelled("test")
    if not results.linear["mofore"]:
        return
    n_groups, n_videos = len(np.unique(test.group)), len(test.video)
    if n_groups < FEW_GROUPS:
        yield Caution(
            f"Too few groups for a claim: {counted(n_groups, 'held-out group')}",
            f"Intervals are drawn over groups; with fewer than {FEW_GROUPS} they are too narrow to be believed.",
        )
    if n_videos < FEW_VIDEOS:
        yield Caution(f"Few test videos: {n_videos}", f"One video more or less is {1 / n_videos:.1%} of every score.")


def _small_lead(results: Results) -> Iterator[Caution]:
    compared = [*with_controls(results), *with_shipped(results)]
    small = [c for c in compared if c.answer == "yes" and c.lead < SMALL_LEAD]
    if small:
        yield Caution(
            f"A lead below {SMALL_LEAD:.0%} from one run",
            f"{'; '.join(f'{ROW_NAMES[c.row]}: {c}' for c in small)}. The interval leaves out the variation from seed "
            "to seed: train with three seeds before you claim it (dvc exp run -S seed=2).",
        )


def _unlabelled(results: Results) -> Iterator[Caution]:
    n_unlabelled = int((results.embedded.label == "").sum())
    if not results.linear["mofore"]:
        yield Caution(
            "No labels to score with",
            "Scores of classes need training videos of two classes, and test videos with a label: put videos into one "
            "folder per class, or add videos.csv.",
        )
    elif n_unlabelled:
        yield Caution(f"{counted(n_unlabelled, 'video')} without a label", "They count in no score of classes.")


def _unusable_videos(results: Results) -> Iterator[Caution]:
    for status, words in (("unreadable", "could not be read"), ("truncated", "could be read in part only")):
        if n_videos := int((results.videos["status"] == status).sum()):
            yield Caution(f"{counted(n_videos, 'video')} {words}", "Named with the reason under 'What was run'.")
    if n_short := len(results.too_short):
        yield Caution(f"{counted(n_short, 'video')} too short", "Without room for one clip, they are in no score.")
