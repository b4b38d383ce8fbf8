"""Write the report: one HTML page with all results of a run, without network, scripts or other files.

This module computes and formats the values. The HTML is in `page.html.j2`, which escapes them.
"""

from pathlib import Path

import pandas as pd

from mofore.config import Embed, Params
from mofore.frames.store import FrameStore
from mofore.report.claims import chance, claims, verdict
from mofore.report.clips import clips_section
from mofore.report.decide import Answer, decide
from mofore.report.line_charts import (
    accuracy_figure,
    few_labels_figure,
    gaps_figure,
    retrieval_figure,
    skill_figure,
    speed_figure,
    stability_figure,
    training_figure,
)
from mofore.report.markup import NO_VALUE, Cell, Table, score_cell
from mofore.report.paper_table import collapse_reminder, paper_table
from mofore.report.provenance import run_section
from mofore.report.queries import choose_examples
from mofore.report.results import ROW_DESCRIPTIONS, ROW_NAMES, Results
from mofore.report.score_charts import classes_figure, confusion_figure, map_figure, scores_figure
from mofore.report.svg import svg_style
from mofore.report.templates import read_template
from mofore.report.warnings import cautions
from mofore.utils.files import writing
from mofore.utils.text import counted

MARKS: dict[Answer, tuple[str, str]] = {  # CSS class and text of each answer
    "yes": ("yes", "✓ yes"),
    "no": ("no", "✗ no"),
    "not clear": ("unclear", "? not clear"),
    "not measured": ("unclear", f"{NO_VALUE} not measured"),
}
TEMPLATE = Path(__file__).with_name("page.html.j2")
LEADS = {"yes": "better", "no": "worse", "not clear": "not clear"}
MAX_CONFUSED_PAIRS = 10  # pairs of classes in the table of confusions


def write_report(page: Path, results: Results, params: Params, frames: FrameStore) -> None:
    """Write the report.

    Args:
        page: HTML file to write. The same input and package versions give the same bytes.
        results: everything that the earlier stages measured.
        params: settings of the run, listed in the page.
        frames: frames of the videos, for the looping clips.
    """
    chance_scores = chance(results.embedded)
    tables = results.tables
    with svg_style():
        html = read_template(TEMPLATE).render(
            title=f"MoFore report: {counted(len(results.videos), 'video')} ({params.data.source})",
            verdict=verdict(results),
            cautions=cautions(results),
            marks=MARKS,
            score_figure=scores_figure(results.linear, results.knn, chance_scores),
            score_table=_score_table(results, chance_scores) if chance_scores else None,
            protocol=_protocol(params),
            claims=claims(results),
            forecast_figures=[skill_figure(tables["forecast"]), accuracy_figure(tables["forecast_accuracy"])],
            time_figures=[stability_figure(tables["temporal"]), speed_figure(tables["speed"])],
            paper_table=paper_table(results.paper),
            collapse_reminder=collapse_reminder(results.paper),
            structure_table=_structure_table(results),
            map_figures=[map_figure(tables["map"], by) for by in ("label", "group")],
            class_figures=[
                few_labels_figure(tables["few_labels"], results.linear),
                retrieval_figure(tables["retrieval"]),
                classes_figure("classes_linear", "Linear classifier, class by class", tables["classes_linear"]),
                classes_figure("classes_knn", "Retrieval R@1, class by class", tables["classes_knn"]),
                confusion_figure(tables["confusion"]),
            ],
            confused_table=_confused_table(tables["confusion"]),
            training_figures=[training_figure(tables["pretrain"]), gaps_figure(tables["gaps"])],
            clips=clips_section(choose_examples(results.embedded, params.report.queries, params.seed), frames),
            run=run_section(results, params),
        )
    with writing(page) as file:
        file.write(html.encode())


def _score_table(results: Results, chance_scores: dict[str, float]) -> Table:
    test = results.embedded.labelled("test")
    head = [
        "what is scored",
        "linear\ntop-1",
        "MoFore's lead",
        "retrieval\nR@1",
        "MoFore's lead",
        "R@5",
        "R@1\ncentred",
        "kNN\ntop-1",
        "linear,\ncross-val.",
        "R@1,\ncross-val.",
    ]
    rows: list[list[Cell | str]] = []
    for row, linear in results.linear.items():
        knn = results.knn[row]
        rows.append(
            [
                Cell(ROW_NAMES[row], small=ROW_DESCRIPTIONS[row]),
                _percent(linear, "top1"),
                _lead(linear),
                _percent(knn, "r_at_1"),
                _lead(knn),
                _percent(knn, "r_at_5"),
                _percent(knn, "centred_r_at_1"),
                _percent(knn, "top1"),
                _percent_with_std(linear, "cv_top1"),
                _percent_with_std(knn, "cv_r_at_1"),
            ]
        )
    top1, r_at_1 = (f"{100 * chance_scores[name]:.1f}" for name in ("top1", "r_at_1"))
    rows.append(["chance", top1, "", r_at_1, *[""] * 6])
    caption = (
        f"Percent of {len(test.label):,} held-out videos in {counted(len(set(test.group)), 'group')}; below each its "
        "95 % interval. Lead: MoFore's score minus this row's on the same videos, in points."
    )
    return Table(caption, head, rows, "numbers scores")


def _protocol(params: Params) -> list[str]:
    clip, knn, linear = params.clip, params.knn, params.linear
    crop = "whole frames squeezed to squares" if clip.crop == "none" else "centre crops"
    if params.data.split == "random":
        split = "The split is random, so videos of one recording may be on both sides."
    else:
        split = "No group is on both sides of the split."
    return [
        f"Every video is embedded by the encoder alone, frozen and in evaluation mode, from {params.embed.clips} "
        f"uniformly spaced clips of {clip.frames} frames, {crop}. {_embedding_in_words(params.embed)}",
        "Retrieval and kNN: cosine similarity, test videos among training videos. R@k: is one of the k nearest of the "
        f"same class? kNN: {knn.k} neighbours vote, weighted by exp(similarity / {knn.temperature:g}). Centred: the "
        "mean of the training videos is subtracted first.",
        "Linear: logistic regression on features standardised by the training videos; its regularisation chosen on "
        f"training groups, {linear.holdout:.0%} of them held out at a time, never on test videos.",
        "Cross-validated: mean and standard deviation over folds of whole groups, of all labelled videos. The encoder "
        "has seen most of these videos in pretraining, without their labels.",
        "Intervals: 95 %, by bootstrap over groups (recordings, scenes, actors), since videos of one group are alike. "
        "A lead is decided if its whole interval lies on one side of 0.",
        f"{split} Scores are those of the last epoch, not of the best one.",
    ]


def _embedding_in_words(embed: Embed) -> str:
    """Which features an embedding has, and what their weights change."""
    cells = embed.grid**2
    parts = f" and of each cell of a {embed.grid}x{embed.grid} grid, {cells} of {cells + 1} parts" if cells else ""
    deviations = f", and their standard deviation with weight {embed.spread:g}" if embed.spread else ""
    scaled = ", each scaled by the training videos" if embed.standardise else ""
    words = f"An embedding has the mean over the clips of features of the whole frame{parts}{deviations}{scaled}."
    if embed.spread:
        words += " The weight counts in similarities, not in linear and few labels, which scale features themselves."
    return words


def _structure_table(results: Results) -> Table:
    measures = {
        "silhouette_class": "silhouette\nby class",
        "silhouette_group": "silhouette\nby group",
        "nmi_class": "NMI\nby class",
        "nmi_group": "NMI\nby group",
        "ari_class": "ARI\nby class",
        "ari_group": "ARI\nby group",
        "effective_rank": "effective\nrank",
        "alignment": "align-\nment",
        "uniformity": "uni-\nformity",
    }
    rows = [
        [
            ROW_NAMES[row],
            *(score_cell(scores, measure, 1 if measure == "effective_rank" else 2) for measure in measures),
        ]
        for row, scores in results.structure.items()
    ]
    caption = (
        "Of the held-out videos. Silhouette: -1 to 1; NMI and ARI: agreement of k-means with what is known, up to 1. "
        "By group: among the videos of one class; high there and low by class: the embedding encodes the scene. "
        "Effective rank: directions used (1: collapsed). Alignment: distance of clips of one video, 0 to 4. "
        "Uniformity: 0 (collapsed) to about -4."
    )
    return Table(caption, ["", *measures.values()], rows, "numbers")


def _confused_table(confusion: pd.DataFrame) -> Table | None:
    """The pairs of classes that the linear classifier confuses most often; None if it makes no mistake."""
    wrong = confusion[confusion["actual"] != confusion["predicted"]]
    if wrong.empty:
        return None
    class_size = confusion["actual"].value_counts()
    pairs = wrong.value_counts(["actual", "predicted"]).sort_index().sort_values(ascending=False, kind="stable")
    rows = [
        [actual, predicted, f"{number} of {class_size[actual]}"]
        for actual, predicted, number in pairs.reset_index()[:MAX_CONFUSED_PAIRS].itertuples(index=False)
    ]
    return Table("Most often confused by the linear classifier.", ["class", "named", "test videos"], rows)


def _lead(scores: dict[str, float]) -> Cell | str:
    """MoFore's lead over a row, in percentage points; empty for MoFore itself."""
    if "lead" not in scores:
        return ""
    answer = decide(scores["lead_low"], scores["lead_high"])
    lead, low, high = (f"{100 * scores[name]:+.1f}" for name in ("lead", "lead_low", "lead_high"))
    return Cell(lead, LEADS[answer], MARKS[answer][0], f"{low} to {high}", "range")


def _percent(scores: dict[str, float], name: str) -> Cell | str:
    return score_cell({key: 100 * score for key, score in scores.items()}, name, 1)


def _percent_with_std(scores: dict[str, float], name: str) -> Cell | str:
    if name not in scores:
        return NO_VALUE
    return Cell(f"{100 * scores[name]:.1f}", small=f"± {100 * scores[f'{name}_std']:.1f}")
