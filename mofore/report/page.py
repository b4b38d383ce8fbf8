"""The report: one page of HTML with all that a run has come to, that needs no network, no script and no other file."""

from html import escape
from pathlib import Path
from string import Template

import pandas as pd

from mofore.config import Params
from mofore.frames.store import FrameStore
from mofore.report.claims import Answer, chance, claims, decide, verdict
from mofore.report.clips import clips_section
from mofore.report.filmstrips import choose_examples
from mofore.report.line_charts import (
    accuracy_figure,
    gaps_figure,
    retrieval_figure,
    skill_figure,
    speed_figure,
    stability_figure,
    training_figure,
)
from mofore.report.markup import scrolling_table, section
from mofore.report.provenance import run_section
from mofore.report.results import ROW_NAMES, ROW_WORDS, Results
from mofore.report.score_charts import classes_figure, confusion_figure, map_figure, scores_figure
from mofore.report.svg import styled
from mofore.report.warnings import cautions
from mofore.utils.files import writing
from mofore.utils.text import counted

NONE = "\N{EN DASH}"
MARKS: dict[Answer, tuple[str, str]] = {  # class of CSS, and what stands for an answer
    "yes": ("yes", "✓ yes"),
    "no": ("no", "✗ no"),
    "not clear": ("unclear", "? not clear"),
    "not measured": ("unclear", f"{NONE} not measured"),
}
LEADS = {"yes": "better", "no": "worse", "not clear": "not clear"}
PAIRS = 10  # of classes most often confused that are named


def write_report(page: Path, results: Results, params: Params, frames: FrameStore) -> None:
    """Write the report.

    Args:
        page: HTML to write; the same bytes for the same input and versions.
        frames: of the videos, for the looping clips.
    """
    template = Template(Path(__file__).with_name("page.html").read_text("utf-8"))
    title = f"MoFore report: {counted(len(results.videos), 'video')} ({params.data.source})"
    with styled():
        sections = (
            _scores(results, params),
            _claims(results),
            _forecast(results),
            _time(results),
            _structure(results),
            _classes(results),
            _training(results),
            clips_section(choose_examples(results.embedded, params.seed), frames),
            run_section(results, params),
        )
    body = f"{_head(title, results)}<main>{_warnings(results)}{''.join(sections)}</main>"
    with writing(page) as file:
        file.write(template.substitute(title=escape(title), body=body).encode())


def _head(title: str, results: Results) -> str:
    links = {
        "scores": "Scores",
        "claims": "Claims",
        "forecast": "Forecast skill",
        "time": "Over time",
        "structure": "Structure",
        "classes": "Class by class",
        "training": "Training",
        "clips": "Filmstrips",
        "run": "What was run",
    }
    first, *rest = verdict(results)
    items = "".join(f'<li><a href="#{name}">{words}</a></li>' for name, words in links.items())
    return (
        f"<header><h1>{escape(title)}</h1>"
        f'<p class="verdict"><b>{escape(first)}</b> {escape(" ".join(rest))}</p></header>'
        f'<nav aria-label="Sections"><ul>{items}</ul></nav>\n'
    )


def _warnings(results: Results) -> str:
    found = cautions(results)
    if not found:
        return '<section class="warnings none" id="warnings"><h2>No warnings</h2></section>\n'
    items = "".join(f"<li><b>{escape(one.what)}.</b> {escape(one.why)}</li>\n" for one in found)
    title = f"{len(found)} warning{'s' if len(found) > 1 else ''}"
    return f'<section class="warnings" id="warnings"><h2>{title}</h2><ul>{items}</ul></section>\n'


def _scores(results: Results, params: Params) -> str:
    by_chance = chance(results.embedded)
    chart = scores_figure(results.linear, results.knn, by_chance)
    if not by_chance:
        return section("scores", "Scores", chart)
    test = results.embedded.labelled("test")
    head = [
        "what is scored",
        "linear<br>top-1",
        "MoFore's lead",
        "retrieval<br>R@1",
        "MoFore's lead",
        "R@5",
        "R@1<br>centred",
        "kNN<br>top-1",
        "linear,<br>cross-val.",
        "R@1,<br>cross-val.",
    ]
    rows = []
    for row, linear in results.linear.items():
        knn = results.knn[row]
        rows.append(
            [
                f"{ROW_NAMES[row]} <small>{ROW_WORDS[row]}</small>",
                _percent(linear, "top1"),
                _lead(linear),
                _percent(knn, "r_at_1"),
                _lead(knn),
                _percent(knn, "r_at_5"),
                _percent(knn, "centred_r_at_1"),
                _percent(knn, "top1"),
                _with_spread(linear, "cv_top1"),
                _with_spread(knn, "cv_r_at_1"),
            ]
        )
    rows.append(["chance", f"{100 * by_chance['top1']:.1f}", "", f"{100 * by_chance['r_at_1']:.1f}", *[""] * 6])
    caption = (
        f"Percent of {len(test.label):,} held-out videos in {counted(len(set(test.group)), 'group')}; below each its "
        "95 % interval. Lead: MoFore's score minus this row's on the same videos, in points."
    )
    table = scrolling_table(caption, head, rows, "numbers scores")
    beside = f'<div class="figures main">{chart}<div>{_protocol(params)}</div></div>'
    return section("scores", "Scores beside their controls", table, beside)


def _protocol(params: Params) -> str:
    clip, knn, linear = params.clip, params.knn, params.linear
    seen = "whole frames squeezed to squares" if clip.crop == "none" else "centre crops"
    lines = [
        f"Every video is embedded as the mean of {params.embed.clips} uniformly spaced clips of {clip.frames} frames, "
        f"{seen}, by the encoder alone, frozen and in evaluation mode.",
        "Retrieval and kNN: cosine similarity, test videos among training videos. R@k: is one of the k nearest of the "
        f"same class? kNN: {knn.k} neighbours vote, weighted by exp(similarity / {knn.temperature:g}). Centred: the "
        "mean of the training videos taken off first.",
        "Linear: logistic regression on features standardised by the training videos; its regularisation chosen on "
        f"training groups, {linear.holdout:.0%} of them held out at a time, never on test videos.",
        "Cross-validated: mean and standard deviation over folds of whole groups, of all labelled videos; most of them "
        "the encoder has seen in pretraining, without their labels.",
        "Intervals: 95 %, by bootstrap over groups (recordings, scenes, actors), since videos of one group are alike. "
        "A lead is decided if its whole interval lies on one side of 0.",
        "No group stands on both sides of the split. Scores are those of the last epoch, not of the best one.",
    ]
    return "<h3>Protocol</h3><ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def _claims(results: Results) -> str:
    items = "".join(
        f'<li><span class="{MARKS[one.answer][0]}">{MARKS[one.answer][1]}</span><div><b>{escape(one.claim)}</b> '
        f"<small>{escape(one.evidence)}</small></div></li>\n"
        for one in claims(results)
    )
    how = "On these videos, in this run, decided by 95 % intervals."
    return section(
        "claims", "What the paper claims: does it show here?", f'<p>{how}</p><ul class="claims">{items}</ul>'
    )


def _forecast(results: Results) -> str:
    charts = skill_figure(results.tables["forecast"]) + accuracy_figure(results.tables["forecast_accuracy"])
    return section("forecast", "Forecast skill", f'<div class="figures main">{charts}</div>')


def _time(results: Results) -> str:
    charts = stability_figure(results.tables["temporal"]) + speed_figure(results.tables["speed"])
    return section("time", "Stability over time", f'<div class="figures main">{charts}</div>')


def _structure(results: Results) -> str:
    measures = {
        "silhouette_class": "silhouette<br>by class",
        "silhouette_group": "silhouette<br>by group",
        "nmi_class": "NMI<br>by class",
        "nmi_group": "NMI<br>by group",
        "ari_class": "ARI<br>by class",
        "ari_group": "ARI<br>by group",
        "effective_rank": "effective<br>rank",
        "alignment": "align-<br>ment",
        "uniformity": "uni-<br>formity",
    }
    rows = [
        [ROW_NAMES[row], *(_number(scores, measure, 1 if measure == "effective_rank" else 2) for measure in measures)]
        for row, scores in results.structure.items()
    ]
    caption = (
        "Of the held-out videos. Silhouette: -1 to 1; NMI and ARI: agreement of k-means with what is known, up to 1. "
        "By group: among the videos of one class; high there and low by class is an encoder that knows the scene only. "
        "Effective rank: directions used (1: collapsed). Alignment: distance of clips of one video, 0 to 4. "
        "Uniformity: 0 (collapsed) to about -4."
    )
    table = scrolling_table(caption, ["", *measures.values()], rows, "numbers")
    maps = "".join(map_figure(results.tables["map"], by) for by in ("label", "group"))
    return section("structure", "Structure of the embedding space", table, f'<div class="figures main">{maps}</div>')


def _classes(results: Results) -> str:
    tables = results.tables
    charts = (
        retrieval_figure(tables["retrieval"]),
        classes_figure("classes_linear", "Linear classifier, class by class", tables["classes_linear"]),
        classes_figure("classes_knn", "Retrieval R@1, class by class", tables["classes_knn"]),
        confusion_figure(tables["confusion"]),
        _confused(tables["confusion"]),
    )
    return section("classes", "Retrieval and classes", f'<div class="figures">{"".join(charts)}</div>')


def _confused(confusion: pd.DataFrame) -> str:
    wrong = confusion[confusion["actual"] != confusion["predicted"]]
    if wrong.empty:
        return ""
    of_class = confusion["actual"].value_counts()
    pairs = wrong.value_counts(["actual", "predicted"]).sort_index().sort_values(ascending=False, kind="stable")
    rows = [
        [escape(actual), escape(predicted), f"{number} of {of_class[actual]}"]
        for actual, predicted, number in pairs.reset_index()[:PAIRS].itertuples(index=False)
    ]
    return scrolling_table("Most often confused by the linear classifier.", ["class", "named", "test videos"], rows)


def _training(results: Results) -> str:
    charts = training_figure(results.tables["pretrain"]) + gaps_figure(results.tables["gaps"])
    return section("training", "Training", f'<div class="figures main">{charts}</div>')


def _lead(scores: dict[str, float]) -> str:
    if "lead" not in scores:
        return ""
    answer = decide(scores["lead_low"], scores["lead_high"])
    lead, low, high = (f"{100 * scores[name]:+.1f}" for name in ("lead", "lead_low", "lead_high"))
    return f'{lead} <span class="{MARKS[answer][0]}">{LEADS[answer]}</span><small class="range">{low} to {high}</small>'


def _percent(scores: dict[str, float], name: str) -> str:
    return _number({key: 100 * score for key, score in scores.items()}, name, 1)


def _with_spread(scores: dict[str, float], name: str) -> str:
    return f"{100 * scores[name]:.1f}<small>± {100 * scores[f'{name}_std']:.1f}</small>" if name in scores else NONE


def _number(scores: dict[str, float], name: str, digits: int) -> str:
    if name not in scores:
        return NONE
    low, high = scores.get(f"{name}_low"), scores.get(f"{name}_high")
    interval = "" if low is None else f'<small class="range">{low:.{digits}f} to {high:.{digits}f}</small>'
    return f"{scores[name]:.{digits}f}{interval}"
