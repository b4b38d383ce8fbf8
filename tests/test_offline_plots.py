"""`dvc plots` renders without a network: in a small repository with our .dvc folder, dvc.yaml and made-up results."""

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from synthetic_results import CLASSES, write_embeddings, write_results

ROOT = Path(__file__).parents[1]
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
TABLES = ["pretrain", "confusion", "retrieval", "temporal", "map"]


def run(folder: Path, *command: str) -> str:
    """Standard output of a command, which must succeed; it sees no configuration of the user's."""
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
    """Two commits: `labelled`, and then `unlabelled`, whose label-based tables hold their header only."""
    folder = tmp_path_factory.mktemp("repository")
    for name in ("config", ".gitignore"):
        (folder / ".dvc").mkdir(exist_ok=True)
        shutil.copy(ROOT / ".dvc" / name, folder / ".dvc" / name)
    shutil.copytree(ROOT / ".dvc" / "plots", folder / ".dvc" / "plots")
    for name in (".dvcignore", ".gitignore", "dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, folder / name)
    run(folder, "git", "init", "-q")
    (folder / ".git" / "info" / "exclude").write_text(".home\n/data/\n")
    for message, classes in (("labelled", CLASSES), ("unlabelled", [])):
        write_embeddings(folder / "data" / "embeddings" / "mofore.parquet", classes or [""])
        write_results(folder / "results", classes)
        run(folder, sys.executable, str(ROOT / "stages" / "plots.py"))
        commit(folder, message)
        run(folder, "git", "tag", message)
    return folder


@pytest.fixture(scope="module")
def page(repository: Path) -> Path:
    """`dvc plots diff` of the two, unlabelled against labelled."""
    dvc(repository, "plots", "diff", "labelled", "unlabelled")
    return repository / "dvc_plots" / "index.html"


class Fetched(HTMLParser):
    """Collects what a browser would load for a page: every src, and the href of what is no link to click."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.urls += [value or "" for name, value in attrs if name == "src" or (name == "href" and tag != "a")]


def test_page_loads_nothing_but_its_own_pictures(page: Path) -> None:
    html = page.read_text("utf-8")
    urls = Fetched(html).urls
    assert sorted(Path(url).name for url in urls) == [
        "labelled_results_overview.png",
        "unlabelled_results_overview.png",
    ]
    assert all((page.parent / url).is_file() for url in urls)
    styles = "".join(re.findall(r"<style>(.*?)</style>", html, re.DOTALL))
    assert "url(" not in styles
    assert "@import" not in styles


def test_the_check_sees_scripts_of_a_cdn() -> None:
    html = (
        '<script src="https://cdn.example/vega.js"></script><link href="//cdn.example/x.css"><a href="http://a">b</a>'
    )
    assert Fetched(html).urls == ["https://cdn.example/vega.js", "//cdn.example/x.css"]


def test_working_with_plots_leaves_git_clean(repository: Path, page: Path) -> None:
    assert page.exists()
    assert run(repository, "git", "status", "--porcelain") == ""


def test_every_template_is_used_and_there() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].values()
    settings = [setting for stage in stages for plot in stage.get("plots", []) for setting in plot.values()]
    named = {setting["template"] for setting in settings if "template" in setting}
    assert named == {path.stem for path in (ROOT / ".dvc" / "plots").glob("*.json")}


def dump(page: Path, tmp_path: Path) -> str:
    """The page after its scripts have run, in a browser for which no host exists."""
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    command += [f"--user-data-dir={tmp_path}", "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=10000"]
    done = subprocess.run([*command, "--dump-dom", page.as_uri()], capture_output=True, timeout=120, check=True)
    return done.stdout.decode("utf-8")


def cards(dom: str) -> dict[str, str]:
    """What stands in the card of each table, by the table's name."""
    parts = re.split(r'<div id="results_(\w+)_csv"', dom)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.skipif(BROWSER is None, reason="needs chromium")
def test_browser_without_network_draws_every_plot(page: Path, tmp_path: Path) -> None:
    drawn = cards(dump(page, tmp_path))
    assert sorted(drawn) == sorted(TABLES)
    for table, card in drawn.items():
        assert re.search(r"<svg[^>]*marks", card), f"{table} is not drawn"
    for table in ("pretrain", "map", "temporal"):
        assert "unlabelled" in drawn[table]
    assert drawn["pretrain"].count('aria-roledescription="line mark"') == 2 * 10, "10 measures of 2 revisions"
    assert all(f">{name}<" in drawn["confusion"] for name in CLASSES)
    assert all(f">{name}<" in drawn["map"] for name in CLASSES)


@pytest.mark.skipif(BROWSER is None, reason="needs chromium")
def test_browser_says_where_there_is_nothing_to_draw(repository: Path, tmp_path: Path) -> None:
    dvc(repository, "plots", "show", "--out", str(tmp_path / "unlabelled"))
    drawn = cards(dump(tmp_path / "unlabelled" / "index.html", tmp_path / "profile"))
    assert "<svg" in drawn["pretrain"]
    for table in ("confusion", "retrieval"):
        assert "no rows" in drawn[table]
