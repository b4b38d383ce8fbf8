"""`dvc plots` renders without a network.

The tests use a small repository with this project's .dvc folder and dvc.yaml, and made-up results. They read the values
of a mark from its `aria-label`, a description for screen readers that Vega adds to each mark: 'gap: 2; ...'.
"""

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import yaml

from tests.helpers.synthetic_results import CLASSES, FEW_ROWS, SCORES, write_map, write_results

ROOT = Path(__file__).parents[2]
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].values()
PLOTS = {path: settings for stage in STAGES for plot in stage.get("plots", []) for path, settings in plot.items()}
TABLES = sorted(Path(path).stem for path in PLOTS if path.endswith(".csv"))
PICTURES = sorted(Path(path).name for path in PLOTS if not path.endswith(".csv"))
REVISIONS = {
    "wide-gaps": CLASSES,
    "base": CLASSES,
    "unlabelled": [],
}  # classes by revision; deliberately not sorted by name


def run(folder: Path, *command: str) -> str:
    """Run a command, which must succeed, without the user's configuration. Returns its standard output."""
    own = {name: str(folder / ".home") for name in ("HOME", "DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR")}
    env = os.environ | own | {"DVC_SITE_CACHE_DIR": str(folder / ".home"), "DVC_NO_ANALYTICS": "1"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def dvc(folder: Path, *command: str) -> str:
    return run(folder, sys.executable, "-m", "dvc", *command)


def commit(folder: Path, message: str) -> None:
    author = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    run(folder, "git", "add", "-A")
    run(folder, "git", *author, "commit", "-q", "-m", message)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a commit and a tag for each of REVISIONS. The last has no labels: some tables have no rows."""
    folder = tmp_path_factory.mktemp("repository")
    for name in ("config", ".gitignore"):
        (folder / ".dvc").mkdir(exist_ok=True)
        shutil.copy(ROOT / ".dvc" / name, folder / ".dvc" / name)
    shutil.copytree(ROOT / ".dvc" / "plots", folder / ".dvc" / "plots")
    for name in (".dvcignore", ".gitignore", "dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, folder / name)
    run(folder, "git", "init", "-q")
    (folder / ".git" / "info" / "exclude").write_text(".home\n")
    for seed, (name, classes) in enumerate(REVISIONS.items()):
        write_results(folder / "results", classes, seed=seed)
        write_map(folder / "results", classes or [""])
        for picture in PICTURES:
            cv2.imwrite(str(folder / "results" / picture), np.full((20, 32, 3), 80 * seed, np.uint8))
        if name == "base":
            add_gaps_and_drop_intervals(folder / "results")
        commit(folder, name)
        run(folder, "git", "tag", name)
    return folder


def add_gaps_and_drop_intervals(results: Path) -> None:
    """Imitate flaws of real tables: empty cells, and tables of older commits that have no intervals."""
    with (results / "forecast.csv").open("a") as file:
        file.write("against climatology,199,,,,False\n")
    pd.read_csv(results / "temporal.csv").drop(columns=["low", "high"]).to_csv(results / "temporal.csv", index=False)


@pytest.fixture(scope="module")
def page(repository: Path) -> Path:
    """The page that `dvc plots diff` writes for all revisions."""
    dvc(repository, "plots", "diff", *REVISIONS)
    return repository / "dvc_plots" / "index.html"


class LoadedUrls(HTMLParser):
    """Collects the URLs that a browser loads for a page: every src, and every href that is not on an <a>."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.urls += [value or "" for name, value in attrs if name == "src" or (name == "href" and tag != "a")]


@pytest.mark.slow
def test_page_loads_nothing_but_its_own_pictures(page: Path) -> None:
    html = page.read_text("utf-8")
    urls = LoadedUrls(html).urls
    assert sorted(Path(url).name for url in urls) == sorted(
        f"{name}_results_{p}" for name in REVISIONS for p in PICTURES
    )
    assert all((page.parent / url).is_file() for url in urls)
    styles = "".join(re.findall(r"<style>(.*?)</style>", html, re.DOTALL))
    assert "url(" not in styles
    assert "@import" not in styles


def test_the_check_detects_scripts_from_a_cdn() -> None:
    html = (
        '<script src="https://cdn.example/vega.js"></script><link href="//cdn.example/x.css"><a href="http://a">b</a>'
    )
    assert LoadedUrls(html).urls == ["https://cdn.example/vega.js", "//cdn.example/x.css"]


def test_working_with_plots_leaves_git_clean(repository: Path, page: Path) -> None:
    assert page.exists()
    assert run(repository, "git", "status", "--porcelain") == ""


def test_every_template_exists_and_is_used() -> None:
    named = {settings["template"] for settings in PLOTS.values() if "template" in settings}
    assert named == {path.stem for path in (ROOT / ".dvc" / "plots").glob("*.json")}


def dump(page: Path, tmp_path: Path) -> str:
    """Return the page's HTML after its scripts ran, in a browser that cannot resolve any host name."""
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    command += [f"--user-data-dir={tmp_path}", "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=10000"]
    done = subprocess.run([*command, "--dump-dom", page.as_uri()], capture_output=True, timeout=120, check=True)
    return done.stdout.decode("utf-8")


def cards(dom: str) -> dict[str, str]:
    """Return the HTML of each table's plot, by the table's name."""
    parts = re.split(r'<div id="results_(\w+)_csv"', dom)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def marks(card: str, kind: str) -> list[str]:
    """Return the descriptions of all marks of a kind."""
    return re.findall(rf'aria-label="([^"]*)"[^>]*aria-roledescription="{kind}"', card)


@pytest.fixture(scope="module")
def drawn(page: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    if BROWSER is None:
        pytest.skip("needs chromium")
    return cards(dump(page, tmp_path_factory.mktemp("profile")))


@pytest.mark.slow
def test_browser_without_network_draws_every_plot(drawn: dict[str, str]) -> None:
    assert sorted(drawn) == TABLES
    for table, card in drawn.items():
        assert re.search(r"<svg[^>]*marks", card), f"{table} is not drawn"
        assert "NaN" not in card
        assert "undefined" not in card
    for table in ("pretrain", "gaps", "map", "temporal", "speed", "forecast", "forecast_accuracy"):
        assert "unlabelled" in drawn[table]
    assert len(marks(drawn["pretrain"], "line mark")) == 3 * 10, "10 measures of 3 revisions"
    assert all(f">{name}<" in drawn["confusion"] for name in CLASSES)
    assert all(f">{name}<" in drawn["map"] for name in CLASSES)


def test_revisions_are_in_the_requested_order(drawn: dict[str, str]) -> None:
    for table in ("gaps", "forecast", "classes_linear", "confusion", "retrieval", "temporal"):
        titles = re.findall(r"<text[^>]*>(wide-gaps|base|unlabelled)</text>", drawn[table])
        assert titles[:2] == ["wide-gaps", "base"], table
    panels = re.findall(r"<text[^>]*>([\w-]+ - by \w+)</text>", drawn["map"])
    assert panels == [f"{name} - by {of}" for name in REVISIONS for of in ("class", "group")]


def test_skill_is_drawn_against_zero_with_its_intervals(drawn: dict[str, str]) -> None:
    card = drawn["forecast"]
    panels = re.findall(r"<text[^>]*>(against \w+)</text>", card)
    assert panels == ["against persistence", "against climatology"]
    assert [label.rpartition(": ")[2] for label in marks(card, "rule mark")] == ["0", "0"], (
        "one line at zero in each panel"
    )
    assert len(marks(card, "line mark")) == 3 * 3, "three series in each revision"
    assert len(marks(card, "area mark")) == 3 * 2, (
        "no band for shuffled gaps, whose line is close to that of the right gaps"
    )
    dashed = re.findall(r'<path[^>]*aria-roledescription="line mark"[^>]*stroke-dasharray="5,3"', card)
    assert len(dashed) == 3, "the series with a shuffled gap in each revision"
    points = marks(card, "circle")
    assert any("gap (frames): 57.00; skill: 0.394; 95 % from: 0.344; to: 0.444" in point for point in points), points
    assert not [point for point in points if ": 199" in point], "an empty cell is not drawn as 0"
    assert "values from 0 to 60" in card, "an empty cell does not extend the axis of gaps"


def test_forecast_accuracy_is_drawn_beside_persistence_and_chance(drawn: dict[str, str]) -> None:
    assert len(marks(drawn["forecast_accuracy"], "line mark")) == 3 * 2 * (2 + 1), "forecast, persistence and chance"
    assert len(marks(drawn["forecast_accuracy"], "area mark")) == 3 * 2


def test_temporal_stability_without_intervals_is_drawn_without_bands(drawn: dict[str, str]) -> None:
    assert re.findall(r"<text[^>]*>((?:same|other) \w+)</text>", drawn["temporal"]) == [
        "same video",
        "same class",
        "other class",
        "other videos",
    ]
    assert len(marks(drawn["temporal"], "line mark")) == 2 * (3 + 3 + 2), "two encoders, three revisions"
    assert len(marks(drawn["temporal"], "area mark")) == 2 * (3 + 0 + 2)


def test_each_class_has_a_bar_and_a_whisker(drawn: dict[str, str]) -> None:
    for table in ("classes_linear", "classes_knn"):
        bars, whiskers = marks(drawn[table], "bar"), marks(drawn[table], "rule mark")
        assert len(bars) == len(whiskers) == 2 * 2 * len(CLASSES), "two encoders in the two revisions with labels"
        assert {re.findall(r"class: (\w+)", bar)[0] for bar in bars} == set(CLASSES)
    assert len(marks(drawn["retrieval"], "line mark")) == 2 * len(SCORES)
    assert len(marks(drawn["few_labels"], "line mark")) == 2 * len(FEW_ROWS)


def test_each_representation_has_a_bar_and_a_whisker(drawn: dict[str, str]) -> None:
    bars, whiskers = marks(drawn["scores"], "bar"), marks(drawn["scores"], "rule mark")
    assert len(bars) == len(whiskers) == 2 * 2 * len(SCORES) + 3, (
        "linear and R@1 in revisions with labels, skill in all"
    )


def test_each_gap_has_a_bar_one_frame_wide(drawn: dict[str, str]) -> None:
    bars = marks(drawn["gaps"], "bar")
    assert len(bars) == 3 * 49
    assert re.search(r": .0\.5; .* to: 0\.5; ", bars[0]), "the bar of gap 0 reaches from -0.5 to 0.5"


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="needs chromium")
def test_plots_of_empty_tables_say_that_there_are_no_rows(repository: Path, tmp_path: Path) -> None:
    dvc(repository, "plots", "show", "--out", str(tmp_path / "unlabelled"))
    drawn = cards(dump(tmp_path / "unlabelled" / "index.html", tmp_path / "profile"))
    for table, card in drawn.items():
        by_label = table in ("confusion", "retrieval", "few_labels", "classes_linear", "classes_knn")
        assert ("no rows" in card) == by_label, table
        assert ("<svg" in card) != by_label, table
