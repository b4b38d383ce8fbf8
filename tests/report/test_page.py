"""The report page: its content, and that it needs no other file."""

import html
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from tests.helpers.made_results import with_intervals
from tests.helpers.report_pages import KINDS, NASTY, page_of, report, run_report
from tests.helpers.report_project import make_project
from tests.helpers.small_project import edit
from tests.helpers.synthetic_results import CLASSES

ROOT = Path(__file__).parents[2]
VOID = {"meta", "img", "source", "br"}


@pytest.fixture(params=KINDS)
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report(request.param, tmp_path_factory)


@pytest.fixture
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report("labelled", tmp_path_factory)


@pytest.fixture
def nasty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report("nasty", tmp_path_factory)


@pytest.fixture
def unlabelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report("unlabelled", tmp_path_factory)


class Parsed(HTMLParser):
    """The tags of a page, and its text with the tag around it.

    Attributes:
        tags: name and attributes of every tag, in order.
        words: the enclosing tag of each piece of text, and the text.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.words: list[tuple[str, str]] = []
        self.feed(path.read_text("utf-8"))
        assert self.open == [], "a tag is not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        if self.open and "style" not in self.open:
            self.words.append((self.open[-1], data))

    def texts(self, tag: str) -> list[str]:
        return [data for open_tag, data in self.words if open_tag == tag]

    def named(self, tag: str) -> list[dict[str, str]]:
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.mark.slow
def test_page_is_well_formed_and_accessible(page: Path) -> None:
    parsed = Parsed(page)
    ids = Counter(attrs["id"] for _, attrs in parsed.tags if "id" in attrs)
    assert max(ids.values()) == 1
    assert all(image["alt"] for image in parsed.named("img"))
    assert all(len(drawing["aria-label"]) > 20 for drawing in parsed.named("svg"))
    assert len(parsed.named("caption")) == len(parsed.named("table"))
    assert all("scope" in attrs for attrs in parsed.named("th"))
    assert all(attrs["href"][1:] in ids for attrs in parsed.named("a"))
    used = {attrs["xlink:href"][1:] for attrs in parsed.named("use")}
    clipped = {attrs["clip-path"][5:-1] for _, attrs in parsed.tags if "clip-path" in attrs}
    assert used | clipped <= set(ids)
    assert [attrs["content"] for attrs in parsed.named("meta") if attrs.get("name") == "viewport"]


def test_page_refers_to_nothing_outside_itself(page: Path) -> None:
    parsed = Parsed(page)
    link_attributes = ("src", "srcset", "href", "xlink:href", "action", "data", "poster")
    urls = [attrs[name] for _, attrs in parsed.tags for name in link_attributes if name in attrs]
    assert urls
    assert all(url.startswith(("#", "data:image/")) for url in urls)
    assert {name for name, _ in parsed.tags} & {"script", "link", "iframe", "object", "base", "form"} == set()
    assert not any(name.startswith("on") for _, attrs in parsed.tags for name in attrs)
    styles = " ".join(re.findall(r"<style>(.*?)</style>", page.read_text("utf-8"), re.DOTALL))
    styles += " ".join(attrs.get("style", "") for _, attrs in parsed.tags)
    assert "@import" not in styles
    assert all(url.startswith("#") for url in re.findall(r"url\((.*?)\)", styles))
    assert page.stat().st_size < 1_500_000


@pytest.mark.slow
def test_same_input_gives_same_bytes(labelled: Path) -> None:
    before = labelled.read_bytes()
    assert page_of(labelled.parents[1]).read_bytes() == before


def test_score_table_has_every_representation_with_scores_and_leads(labelled: Path) -> None:
    project = labelled.parents[1]
    linear, knn = (json.loads((project / "results" / f"{name}.json").read_text()) for name in ("linear", "knn"))
    rows = re.findall(r"<tr><th scope=\"row\">(.*?)</tr>", labelled.read_text("utf-8"), re.DOTALL)
    for row, words in (("mofore", "MoFore"), ("random_init", "random weights"), ("supervised", "trained on labels")):
        (found,) = [cells for cells in rows if cells.startswith(f"{words} <small>")]
        cells = [re.sub("<[^>]+>", " ", cell).split() for cell in re.findall(r"<td>(.*?)</td>", found, re.DOTALL)]
        wanted = [f"{100 * linear[row][f'top1{end}']:.1f}" for end in ("", "_low", "_high")]
        assert [part for part in cells[0] if part != "to"] == wanted
        assert cells[2][0] == f"{100 * knn[row]['r_at_1']:.1f}"
        lead = "" if row == "mofore" else f"{100 * linear[row]['lead']:+.1f}"
        assert "".join(cells[1][:1]) == lead


@pytest.mark.slow
def test_score_table_has_cross_validated_and_centred_scores(labelled: Path, tmp_path: Path) -> None:
    project = shutil.copytree(labelled.parents[1], tmp_path / "copy")
    new = {
        "linear": {"cv_top1": 0.123, "cv_top1_std": 0.045},
        "knn": {
            **{"centred_r_at_1": 0.234, "centred_r_at_1_low": 0.222, "centred_r_at_1_high": 0.246},
            **{"cv_r_at_1": 0.345, "cv_r_at_1_std": 0.067},
        },
    }
    for name, scores in new.items():
        path = project / "results" / f"{name}.json"
        found = json.loads(path.read_text())
        path.write_text(json.dumps({row: found[row] | (scores if row == "mofore" else {}) for row in found}))
    text = page_of(project).read_text("utf-8")
    assert '<td>23.4<small class="range">22.2 to 24.6</small></td>' in text
    assert "<td>12.3<small>± 4.5</small></td>" in text
    assert "<td>34.5<small>± 6.7</small></td>" in text


def test_verdict_and_warnings_come_first(nasty: Path) -> None:
    text = nasty.read_text("utf-8")
    places = [text.index(part) for part in ('class="verdict"', 'class="warnings"', "<table", "<figure")]
    assert places == sorted(places)
    warnings = text[places[1] : places[2]]
    assert "Too few groups" in warnings
    assert "3 videos could not be read" in warnings


@pytest.mark.slow
def test_verdict_names_a_control_that_beats_mofore(labelled: Path, tmp_path: Path) -> None:
    project = shutil.copytree(labelled.parents[1], tmp_path / "copy")
    linear = json.loads((project / "results" / "linear.json").read_text())
    linear["metadata"] |= {"top1": 0.99, "lead": -0.08, "lead_low": -0.12, "lead_high": -0.02}
    (project / "results" / "linear.json").write_text(json.dumps(linear))
    run = run_report(project)
    text = html.unescape((project / "results" / "report.html").read_text("utf-8"))
    words = "MoFore is beaten by a control: file metadata (linear top-1 99% against MoFore's 91%)."
    assert f'<p class="verdict"><b>{words}' in text
    assert "MoFore is beaten by file metadata" in run.stdout


@pytest.mark.slow
def test_harm_by_training_is_told_on_the_page_and_in_the_terminal(labelled: Path, tmp_path: Path) -> None:
    project = shutil.copytree(labelled.parents[1], tmp_path / "copy")
    for name, score in (("linear", "top1"), ("knn", "r_at_1")):
        path = project / "results" / f"{name}.json"
        shipped = with_intervals(**{score: 0.97, "lead": -0.06})
        path.write_text(json.dumps(json.loads(path.read_text()) | {"shipped": shipped}))
    run = run_report(project)
    text = html.unescape((project / "results" / "report.html").read_text("utf-8"))
    words = "Training on these videos has harmed the shipped encoder"
    assert f'<p class="verdict"><b>{words}: linear top-1 from 97.0%' in text
    assert f"<li><b>{words}.</b> linear top-1 from 97.0%" in text
    assert f"report: {words}: linear top-1 from 97.0%" in run.stdout
    assert run.stdout.count("(mofore embed PATH --encoder shipped)") == 1
    assert json.loads((project / "results" / "metrics.json").read_text())["lin-shipped"] == -0.06


@pytest.mark.slow
def test_protocol_says_which_features_an_embedding_has(labelled: Path, tmp_path: Path) -> None:
    weight = "The weight counts in similarities, not in linear and few labels"
    (line,) = [text for text in Parsed(labelled).texts("li") if text.startswith("Every video")]
    assert "of the whole frame and of each cell of a 3x3 grid, 9 of 10 parts, and their standard deviation" in line
    assert "with weight 0.7, each scaled by the training videos" in line
    assert weight in line
    project = shutil.copytree(labelled.parents[1], tmp_path / "copy")
    edit(project, {"embed.grid": 0, "embed.spread": 0.0, "embed.standardise": False})
    (line,) = [text for text in Parsed(page_of(project)).texts("li") if text.startswith("Every video")]
    assert line.endswith("An embedding has the mean over the clips of features of the whole frame.")


def test_hostile_names_are_shown_unchanged(nasty: Path) -> None:
    parsed = Parsed(nasty)
    words = {html.unescape(data) for _, data in parsed.words}
    for name in NASTY:
        assert name in words, "shown as the title of a query and as a class"
    assert all(f"{name}.avi" in parsed.texts("th") for name in NASTY[:3])


def test_hostile_names_are_escaped_everywhere(nasty: Path) -> None:
    """Names of classes and videos, and reasons, contain tags, quotes and `&`."""
    text, parsed = nasty.read_text("utf-8"), Parsed(nasty)
    for unescaped in ("<script", '"><img src=x', "</style></svg>", "<svg onload", "$5 & co"):
        assert unescaped not in text
    assert not any(attribute.startswith("on") for _, attrs in parsed.tags for attribute in attrs)
    shown = {tag: parsed.texts(tag) for tag in ("h3", "b", "th", "td", "text")}
    shown["alt"] = [attrs["alt"] for attrs in parsed.named("img")]
    for name in NASTY[:4]:
        start = " ".join(name.split())[:11]  # charts cut long names
        for place, texts in shown.items():
            assert any(start in " ".join(words.split()) for words in texts), f"{start} as it is in {place}"


@pytest.mark.parametrize("kind", KINDS)
def test_page_shows_the_measures_of_the_paper(kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    text = report(kind, tmp_path_factory).read_text("utf-8")
    (section,) = re.findall(r'<section id="paper">.*?</section>', text, re.DOTALL)
    assert "Similarities near 1 are also what a collapsed encoder has" in section
    assert '<td>0.9600<small class="range">0.9100 to 1.0000</small></td>' in section
    assert ('<td>0.3100<small class="range">' in section) == (kind != "unlabelled")
    assert "the paper,<br>one example" not in section, "these are not UCF101's videos"


@pytest.mark.slow
def test_page_shows_the_values_of_the_paper_beside_ucf101(labelled: Path, tmp_path: Path) -> None:
    project = shutil.copytree(labelled.parents[1], tmp_path / "copy")
    path = project / "results" / "paper.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"paper": {"same_video": 0.9995}}))
    (section,) = re.findall(r'<section id="paper">.*?</section>', page_of(project).read_text("utf-8"), re.DOTALL)
    assert "the paper,<br>one example" in section
    assert "0.9995" in section


def test_params_are_shown_without_section_runtime(labelled: Path) -> None:
    (text,) = [data for tag, data in Parsed(labelled).words if tag == "pre"]
    assert "gap_max: 48" in text
    assert "runtime" not in text


def test_page_says_what_cannot_be_scored(unlabelled: Path) -> None:
    text = unlabelled.read_text("utf-8")
    assert "No verdict on how well the embeddings separate classes" in text
    assert "No labels to score with" in text
    assert "✓ right" not in text
    assert Parsed(unlabelled).texts("h3").count("Forecast skill") == 1


@pytest.mark.slow
def test_page_without_pairs_of_clips_and_without_test_videos(tmp_path: Path) -> None:
    """Every video is too short for two clips, and none is held out."""
    project = make_project(tmp_path, [])
    for name in ("forecast", "forecast_accuracy", "temporal", "speed", "gaps"):
        path = project / "results" / f"{name}.csv"
        pd.read_csv(path).iloc[:0].to_csv(path, index=False)
    (project / "results" / "forecast.json").write_text('{"mofore": {}}')
    temporal = json.loads((project / "results" / "temporal.json").read_text())
    collapse_scores = {
        row: {name: scores[name] for name in ("effective_rank", "spread")} for row, scores in temporal.items()
    }
    (project / "results" / "temporal.json").write_text(json.dumps(collapse_scores))
    for path in (project / "data/embeddings/mofore.parquet", project / "data/frames/videos.csv"):
        read, write = (pd.read_parquet, "to_parquet") if path.suffix == ".parquet" else (pd.read_csv, "to_csv")
        getattr(read(path).assign(split="train"), write)(path, index=False)
    text = page_of(project).read_text("utf-8")
    assert text.count("No video has room for two clips") >= 4
    assert "no held-out videos" in text


@pytest.mark.slow
def test_error_names_a_missing_result(tmp_path: Path) -> None:
    project = make_project(tmp_path, CLASSES[:2])
    (project / "results" / "speed.csv").unlink()
    run = run_report(project)
    assert run.returncode == 1
    assert run.stderr == "error: results/speed.csv: no such file: run `dvc repro`\n"
    assert not (project / "results" / "report.html").exists()


@pytest.mark.slow
def test_needs_no_torch() -> None:
    code = "import sys, mofore.report.page, mofore.report.filmstrips; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
