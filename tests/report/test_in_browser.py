"""Open the report in a real browser. The script PROBE inspects it and posts what it finds; see `helpers.browser`."""

from pathlib import Path

import pytest

from tests.helpers.browser import browse, console_messages, needs_browser, probe
from tests.helpers.report_pages import HACK, KINDS, report

pytestmark = needs_browser

PROBE = """<script>
addEventListener("load", async () => {
  const root = document.documentElement, overflowing = [];
  for (const details of document.querySelectorAll("details")) details.open = true;
  await Promise.all([...document.images].map(image => image.decode().catch(() => 0)));
  for (const svg of document.querySelectorAll("svg")) {
    const box = svg.getBoundingClientRect();
    for (const text of svg.querySelectorAll("text")) {
      const t = text.getBoundingClientRect();
      if (t.left < box.left - 3 || t.right > box.right + 3 || t.top < box.top - 3 || t.bottom > box.bottom + 3)
        overflowing.push(text.textContent);
    }
  }
  const scale = svg => svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
  const sizes = [...document.querySelectorAll("svg text")].map(
    text => parseFloat(getComputedStyle(text).fontSize) * scale(text.ownerSVGElement));
  parent.postMessage({
    images: document.images.length, broken: [...document.images].filter(image => !image.naturalWidth).length,
    hidden: [...document.querySelectorAll("img, svg")].filter(one => one.getBoundingClientRect().width < 60).length,
    width: root.scrollWidth, inner: innerWidth, overflowing: overflowing, smallest: Math.min(...sizes),
    hacked: root.dataset.hacked || "",
  }, "*");
});
</script>"""


@pytest.fixture(params=KINDS)
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report(request.param, tmp_path_factory)


@pytest.fixture
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report("labelled", tmp_path_factory)


@pytest.mark.slow
def test_browser_logs_nothing(page: Path, tmp_path: Path) -> None:
    dom, log = browse(page, tmp_path)
    assert console_messages(log) == []
    assert "What was run" in dom
    assert "data-hacked" not in dom


@pytest.mark.slow
def test_browser_logs_flaws(labelled: Path, tmp_path: Path) -> None:
    flaws = '<img src="http://example.com/x.png"><script>1</script><img src="absent.png">'
    flawed = tmp_path / "flawed.html"
    flawed.write_text(labelled.read_text("utf-8").replace("</main>", f"{flaws}</main>"), "utf-8")
    assert len(console_messages(browse(flawed, tmp_path)[1])) == 3


@pytest.mark.slow
def test_every_picture_is_shown_and_the_page_fits_the_screen(page: Path, tmp_path: Path) -> None:
    seen = probe(page, PROBE, tmp_path)
    assert [one["inner"] for one in seen] == [360, 1280]
    for one in seen:
        assert one["width"] <= one["inner"], "the page is not wider than the screen"
        assert one["images"] >= 48
        assert one["broken"] == one["hidden"] == 0
        assert one["overflowing"] == [], "no text outside its chart"
        assert one["smallest"] >= 7.5, "smallest font in charts, in pixels"
        assert one["hacked"] == "", "no name ran as a script, although scripts are allowed here"


@pytest.mark.slow
def test_probe_finds_flaws(labelled: Path, tmp_path: Path) -> None:
    flawed = tmp_path / "flawed.html"
    flaw = f'<img src="data:image/webp;base64,AAAA"><div style="width:2000px">wide</div><script>{HACK}</script>'
    flawed.write_text(labelled.read_text("utf-8").replace("</main>", f"{flaw}</main>"), "utf-8")
    phone, _ = probe(flawed, PROBE, tmp_path)
    assert phone["broken"] == 1
    assert phone["width"] > 360
    assert phone["hacked"] == "1"
