"""The page is whole without network, works by mouse and keyboard on any screen, and runs no name as a script.

PROBE uses the page in a real browser as a person would, and posts what it sees; see `helpers.browser.probe`.
"""

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from mofore.collection import explore as module
from mofore.collection.duplicates import Duplicates, Pair
from mofore.collection.explore import explore
from mofore.collection.table import VIDEO, make_part, write_table
from mofore.errors import UserError
from tests.helpers.browser import browse, needs_browser, probe
from tests.helpers.collections import RECIPE

HACK = "document.documentElement.dataset.hacked = 1"
NASTY = [
    f"<script>{HACK}</script>.mp4",
    f'"><img src=x onerror="{HACK}">.mp4',
    f"'-->]]></style></script><svg onload='{HACK}'>.mp4",
    "a #1 100% ?.mp4",
    "Größe 跳躍 🏃.mp4",
    "W" * 200 + ".mp4",
    "line\u2028break\n.mp4",
]
VIDEOS = 40

PROBE = """<script>
requestAnimationFrame = draw => setTimeout(draw, 16);  // a browser without a window may draw no frames
addEventListener("load", async () => {
  const root = document.documentElement, id = name => document.getElementById(name);
  const heading = () => id("heading").textContent, settle = () => new Promise(done => setTimeout(done, 200));
  const press = (key, target) => (target || document.activeElement || document.body).dispatchEvent(
    new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
  const chosen = () => (id("details").querySelector("h2") || {}).textContent || "";
  await settle();
  const seen = {inner: innerWidth, cards: heading(), clusters: id("content").querySelectorAll("h3").length};
  const ink = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  seen.painted = ink.filter((value, at) => at % 4 === 3 && value > 0).length;

  id("pictures").click();  // they cover dots
  await settle();
  canvas.setPointerCapture = () => {};  // made-up pointers cannot be captured
  const box = canvas.getBoundingClientRect(), click = {bubbles: true, pointerId: 1, pointerType: "mouse",
    clientX: box.left + acrossX(3), clientY: box.top + acrossY(3)};
  canvas.dispatchEvent(new PointerEvent("pointermove", click));
  seen.hovered = id("hover").textContent;
  for (const type of ["pointerdown", "pointerup"]) canvas.dispatchEvent(new PointerEvent(type, click));
  seen.clicked = chosen();
  seen.facts = [...id("details").querySelectorAll("dd")].map(fact => fact.textContent);
  seen.link = id("details").querySelector("a[target]").href;
  seen.near = id("details").querySelectorAll("ol button").length;

  canvas.focus();
  const reached = new Set();
  for (const key of ["ArrowLeft", "ArrowUp", "ArrowRight", "ArrowDown", "ArrowRight", "ArrowUp"]) {
    press(key); reached.add(chosen());
  }
  seen.reached = reached.size;
  seen.spoken = id("announce").textContent;
  press("Enter");
  seen.entered = document.activeElement.tagName;
  id("details").querySelector("ol button").focus();
  press("ArrowRight");
  seen.second = document.activeElement === id("details").querySelectorAll("ol button")[1];
  document.activeElement.click();
  press("Escape");
  seen.left = [chosen(), document.activeElement.id];

  id("query").value = "VIDEO 1";
  id("query").dispatchEvent(new Event("input", {bubbles: true}));
  seen.filtered = heading();
  seen.tiles = id("content").querySelectorAll("button").length;
  press("Escape");
  seen.unfiltered = heading();
  id("content").querySelector("h3 button").click();
  seen.cluster = [heading(), document.activeElement.id, id("content").querySelectorAll("button").length];
  id("reset").click();
  seen.finding = "";
  const finding = id("findings").querySelector("button");
  if (finding) { finding.click(); seen.finding = heading(); }
  id("content").querySelector("button[data-video]").click();
  await Promise.all([...document.images].map(image => image.decode().catch(() => 0)));
  await settle();
  seen.broken = [...document.images].filter(image => !image.naturalWidth).length;
  seen.nameless = [...document.querySelectorAll("button, input, select, a")].filter(
    one => !(one.textContent.trim() || one.getAttribute("aria-label") || (one.labels || []).length)).length;
  seen.width = root.scrollWidth;
  seen.hacked = root.dataset.hacked || "";
  parent.postMessage(seen, "*");
});
</script>"""


@pytest.fixture(autouse=True)
def one_duplicate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Finding them takes long, and is tested elsewhere: here videos 1 and 2 are duplicates."""
    pair = Pair("/videos/b/video 1.mp4", "/videos/a/video 2.mp4", 1.0, 1.0, True, False)
    found = Duplicates([pair], 0.7, 0.98, 1, 1)
    monkeypatch.setattr("mofore.collection.health.find_duplicates", lambda table, quiet: found)


def write(path: Path, files: list[str], x_VD: npt.NDArray[np.float32], pictures: list[bytes | None]) -> Path:
    """A table whose videos have these files, vectors and, in turn, pictures. The first is static."""
    count = len(files)
    same = {"kind": VIDEO, "start_s": 0.0, "end_s": 75.0, "contrast": 40.0, "frames": 1875, "fps": 25.0}
    same |= {"width": 320, "height": 240, "status": "ok", "reason": "", "size": 1, "modified": 1}
    rows: dict[str, list[Any]] = {name: [value] * count for name, value in same.items()}
    rows |= {"file": files, "motion": [0.1, *[5.0] * (count - 1)]}
    rows["picture"] = [pictures[video % len(pictures)] for video in range(count)]
    write_table(path, RECIPE, [make_part(rows, x_VD, [None] * count)])
    return path


def jpeg(seed: int) -> bytes:
    """A picture of noise, 85x64, so large a file as one of that size can be."""
    out = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 255, (64, 85, 3), dtype=np.uint8)
    Image.fromarray(noise).save(out, "JPEG", quality=85)
    return out.getvalue()


@pytest.fixture
def page(tmp_path: Path) -> Path:
    files = [f"/videos/{'ab'[video % 2]}/video {video}.mp4" for video in range(VIDEOS - len(NASTY))]
    files += [f"/videos/{name}" for name in NASTY]
    x_VD = np.random.default_rng(0).normal(size=(VIDEOS, 8)).astype(np.float32)
    explore(write(tmp_path / "t.parquet", files, x_VD, [jpeg(0), jpeg(1), None]), tmp_path / "page.html")
    return tmp_path / "page.html"


def contents(page: Path) -> dict[str, Any]:
    """The data that the script reads."""
    text = page.read_text("utf-8")
    found: dict[str, Any] = json.loads(re.findall(r'<script type="application/json" id="data">(.*?)</script>', text)[0])
    return found


def test_page_has_all_videos_and_needs_no_other_file(page: Path) -> None:
    text, data = page.read_text("utf-8"), contents(page)
    assert len(data["name"]) == VIDEOS
    assert data["folder"] == "/videos"
    assert data["name"][:2] == ["a/video 0.mp4", "b/video 1.mp4"]
    assert data["name"][-len(NASTY) :] == NASTY
    assert sorted(video for cluster in data["clusters"] for video in cluster["videos"]) == list(range(VIDEOS))
    assert all(video not in near and len(set(near)) == 8 for video, near in enumerate(data["near"]))
    found = {finding["what"]: finding["videos"] for finding in data["findings"]}
    assert found == {"truncated": [], "near-empty": [], "static": [0], "near-duplicate": [1, 2]}
    assert data["copies"] == [[1, 2]]
    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//|@import|url\(""", text)
    assert HACK not in re.sub(r'<script type="application/json".*?</script>', "", text)


def test_nearest_videos_are_those_with_like_vectors(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x_VD = np.repeat(rng.normal(size=(5, 12)), 4, axis=0) + 0.01 * rng.normal(size=(20, 12))
    files = [f"/v/{video}.mp4" for video in range(20)]
    explore(write(tmp_path / "t.parquet", files, x_VD.astype(np.float32), [None]), tmp_path / "page.html")
    for video, near in enumerate(contents(tmp_path / "page.html")["near"]):
        assert {other // 4 for other in near[:3]} == {video // 4}


def test_same_table_gives_the_same_page(page: Path, tmp_path: Path) -> None:
    explore(tmp_path / "t.parquet", tmp_path / "again.html")
    explore(tmp_path / "t.parquet", tmp_path / "again.html")  # its own page may be replaced
    assert (tmp_path / "again.html").read_bytes() == page.read_bytes()


@pytest.mark.parametrize("videos", [1, 2, 3])
def test_few_or_equal_videos(videos: int, tmp_path: Path) -> None:
    files = [f"/v/{video}.mp4" for video in range(videos)]
    explore(write(tmp_path / "t.parquet", files, np.ones((videos, 4), np.float32), [None]), tmp_path / "page.html")
    data = contents(tmp_path / "page.html")
    assert [sorted(near) for near in data["near"]] == [
        [other for other in range(videos) if other != video] for video in range(videos)
    ]


def test_more_videos_than_fit_are_thinned_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_VIDEOS", 10)
    x_VD = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    explore(write(tmp_path / "t.parquet", [f"/v/{v:02d}.mp4" for v in range(50)], x_VD, [None]), tmp_path / "page.html")
    data = contents(tmp_path / "page.html")
    assert data["name"][0] == "00.mp4"
    assert data["name"][-1] == "49.mp4"
    assert len(data["name"]) == 10
    assert "10 of them, evenly spaced, are on this page" in (tmp_path / "page.html").read_text("utf-8")


def test_no_table(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        explore(tmp_path / "t.parquet", tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_a_page_of_the_user_is_not_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<title>mine</title>")
    table = write(tmp_path / "t.parquet", ["/v/a.mp4"], np.ones((1, 4), np.float32), [None])
    with pytest.raises(UserError, match="no page that mofore wrote"):
        explore(table, page)
    assert page.read_text() == "<title>mine</title>"


@needs_browser
@pytest.mark.slow
def test_browser_logs_nothing_and_no_name_runs(page: Path, tmp_path: Path) -> None:
    dom, log = browse(page, tmp_path)
    assert [line for line in log.splitlines() if "CONSOLE" in line] == []
    assert f'data-ready="{VIDEOS}"' in dom
    assert "data-hacked" not in dom


@needs_browser
@pytest.mark.slow
def test_policy_forbids_scripts_of_others(page: Path, tmp_path: Path) -> None:
    flawed = tmp_path / "flawed.html"
    flaws = f'<script>{HACK}</script><img src="http://example.com/x.png">'
    flawed.write_text(page.read_text("utf-8").replace("</main>", f"{flaws}</main>"), "utf-8")
    dom, log = browse(flawed, tmp_path)
    assert len([line for line in log.splitlines() if "CONSOLE" in line]) == 2
    assert "data-hacked" not in dom


@needs_browser
@pytest.mark.slow
def test_works_by_mouse_and_keyboard_on_a_phone_and_a_wide_screen(page: Path, tmp_path: Path) -> None:
    seen = probe(page, PROBE, tmp_path)
    assert [one["inner"] for one in seen] == [360, 1280]
    for one in seen:
        assert one["cards"] == "Clusters"
        assert one["clusters"] == 4
        assert one["painted"] > 1000
        assert one["hovered"] == one["clicked"] == "video 3.mp4"
        assert {"75.0 s", "01:15"} & set(one["facts"])
        assert "5.00 gray levels" in one["facts"]
        assert one["link"] == "file:///videos/b/video%203.mp4"
        assert one["near"] == 8
        assert one["reached"] >= 3
        assert re.search("Cluster [1-4]$", one["spoken"])
        assert one["entered"] == "H2"
        assert one["second"]
        assert one["left"] == ["", "map"]
        assert one["filtered"] == "13 videos", "those with a 1 in their name"
        assert one["tiles"] == 13
        assert one["unfiltered"] == "Clusters"
        number = int(re.findall(r"Cluster 1: (\d+) videos", one["cluster"][0])[0])
        assert one["cluster"][1:] == ["heading", number]
        assert one["finding"] == "1 static video"
        assert one["broken"] == one["nameless"] == 0
        assert one["width"] <= one["inner"], "the page is not wider than the screen"
        assert one["hacked"] == "", "no name ran as a script, although scripts are allowed here"


@needs_browser
@pytest.mark.slow
def test_20000_videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "lay_out", lambda x_VD, seed: x_VD[:, :2])  # t-SNE takes minutes
    files = [f"/videos/{video % 50}/video {video}.mp4" for video in range(20_000)]
    x_VD = np.random.default_rng(0).normal(size=(20_000, 4)).astype(np.float32)
    page = tmp_path / "page.html"
    explore(write(tmp_path / "t.parquet", files, x_VD, [jpeg(seed) for seed in range(20)]), page)
    assert page.stat().st_size < 60e6
    seen = probe(page, PROBE, tmp_path)
    for one in seen:
        assert one["clusters"] == 60
        assert one["clicked"]
        assert one["reached"] >= 3
        assert one["filtered"] == f"{sum('1' in file[:-4] for file in files):,} videos"
        assert one["tiles"] == 60, "only a first part is listed"
        assert one["broken"] == 0
