"""The gallery is one file that shows query and moments, escapes names, and says which videos are gone."""

import base64
import io
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mofore.collection import moments
from mofore.collection.gallery import write_gallery
from mofore.collection.search import Hit
from mofore.errors import UserError
from mofore.frames.probe import open_container
from tests.helpers.browser import BROWSER, needs_browser
from tests.helpers.video_files import write_video

HOSTILE = '"><script>document.title="hacked"</script><b>.avi'


@pytest.fixture
def page(tmp_path: Path) -> str:
    query = write_video(tmp_path / "videos/query.avi", frames=60)
    found = write_video(tmp_path / "videos/found.avi", frames=100, size=(480, 320))
    hits = [Hit(str(found), 1.0, 3.0, 0.876), Hit(f"/gone/{HOSTILE}", 3600.0, 3602.0, 0.5)]
    write_gallery(tmp_path / "out/page.html", query, 0.4, 2.0, hits, "Of 3 videos.")
    return (tmp_path / "out/page.html").read_text()


def seconds(image: Image.Image) -> float:
    """How long a loop lasts; successive pictures that are equal are one frame of it."""
    total = 0
    for number in range(getattr(image, "n_frames", 1)):
        image.seek(number)
        image.load()
        total += image.info["duration"]
    return total / 1000


def images(page: str) -> list[Image.Image]:
    return [
        Image.open(io.BytesIO(base64.b64decode(data)))
        for data in re.findall(r'<img src="data:image/webp;base64,([^"]+)"', page)
    ]


def test_shows_query_and_moments_as_loops(page: str) -> None:
    query, found = images(page)
    assert query.size == (48, 32)  # never enlarged
    assert found.size == (144, 96)
    assert (seconds(query), seconds(found)) == (13 / 8, 16 / 8)  # the part of 1.6 s, and 2 s, at 8 a second
    assert found.info["loop"] == 0
    assert page.count("prefers-reduced-motion: reduce") == 2
    for text in ("0.88", "0:01.0 to 0:03.0", "videos/found.avi", "Of 3 videos.", "2 moments found", "1:00:00.0"):
        assert text in page


def test_needs_no_network_and_escapes_names(page: str) -> None:
    assert "default-src 'none'" in page
    assert not re.findall(r'(?:src|srcset|href)="(?!data:)', page)
    assert "<script" not in page
    assert "no such file" in page


def test_replaces_its_own_pages_only(page: str, tmp_path: Path) -> None:
    query, out = tmp_path / "videos/query.avi", tmp_path / "out/page.html"
    write_gallery(out, query, None, None, [])
    assert out.read_text() != page
    out.write_text("<title>mine</title>")
    with pytest.raises(UserError, match="no page that mofore wrote"):
        write_gallery(out, query, None, None, [])
    assert out.read_text() == "<title>mine</title>"


@pytest.mark.parametrize("error", [ValueError("odd\nframe"), OSError(5, "Input/output error"), MemoryError()])
def test_a_moment_that_cannot_be_read_becomes_an_empty_tile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    good, odd = write_video(tmp_path / "good.avi", frames=60), write_video(tmp_path / "odd.avi", frames=60)

    def opened(file: Path, *words: bool) -> object:
        if file == odd:
            raise error
        return open_container(file, *words)

    monkeypatch.setattr(moments, "open_container", opened)
    hits = [Hit(str(odd), 0.0, 2.0, 0.9), Hit(str(good), 0.0, 2.0, 0.8)]
    write_gallery(tmp_path / "page.html", good, None, None, hits)
    page = (tmp_path / "page.html").read_text()
    assert len(images(page)) == 2
    (problem,) = re.findall(r'<p class="gone">(.*)</p>', page)
    assert problem.startswith("cannot be read: ")


def test_the_middle_of_a_long_moment_is_shown(tmp_path: Path) -> None:
    file = write_video(tmp_path / "a.avi", frames=250)
    write_gallery(tmp_path / "page.html", file, None, None, [Hit(str(file), 0.0, 10.0, 1.0)])
    query, found = (np.asarray(image.convert("L")) for image in images((tmp_path / "page.html").read_text()))
    assert query.max() > 150  # the bright bar is there in the first half second only
    assert found.max() < 60


@needs_browser
def test_fits_a_phone_and_has_no_broken_image(page: str, tmp_path: Path) -> None:
    probe = """<script>addEventListener("load", () => { document.body.dataset.seen = [
      document.documentElement.scrollWidth <= innerWidth, [...document.images].every(image => image.naturalWidth),
      [...document.querySelectorAll("summary")].every(one => one.tabIndex == 0), document.title
    ].join(" ") })</script>"""
    opened = re.sub(r"<meta http-equiv[^>]+>", "", page).replace("</body>", f"{probe}</body>")
    (tmp_path / "inner.html").write_text(opened)
    outer = """<body><iframe src="inner.html" style="border:0;width:360px;height:800px"
      onload="document.body.dataset.seen = frames[0].document.body.dataset.seen"></iframe></body>"""
    (tmp_path / "outer.html").write_text(outer)
    assert BROWSER is not None
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--dump-dom"]
    options += [
        "--allow-file-access-from-files",
        "--virtual-time-budget=5000",
        f"--user-data-dir={tmp_path / 'profile'}",
    ]
    options += [(tmp_path / "outer.html").as_uri()]
    run = subprocess.run([BROWSER, *options], capture_output=True, text=True, timeout=120, check=True)
    assert 'data-seen="true true true Moments like query.avi"' in run.stdout
