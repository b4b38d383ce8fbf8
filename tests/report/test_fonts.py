"""Class names of any script: drawn where a font is installed, as codes where none is, and never as boxes."""

import warnings
from collections.abc import Callable
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder  # type: ignore[import-untyped]
from fontTools.pens.ttGlyphPen import TTGlyphPen  # type: ignore[import-untyped]
from matplotlib.font_manager import fontManager

from mofore.report import fonts
from mofore.report.fonts import families, legible
from mofore.report.overview import draw_overview
from tests.helpers.synthetic_results import write_map, write_results

NAMES = ["武术", "テニス", "달리기", "رقص", "दौड़ना", "วิ่ง"]  # Chinese, Japanese, Korean, Arabic, Hindi, Thai
Install = Callable[[str, str], None]


@pytest.fixture(autouse=True)
def only_dejavu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without other fonts than those of matplotlib."""
    own = [font for font in fontManager.ttflist if "matplotlib" in font.fname and "STIX" not in font.name]
    monkeypatch.setattr(fontManager, "ttflist", own)
    forget()


def forget() -> None:
    fonts._family_of.cache_clear()
    fonts._fonts.cache_clear()


@pytest.fixture
def install(tmp_path: Path) -> Install:
    """Installs a font that has some letters, each drawn as a triangle."""

    def make(family: str, letters: str) -> None:
        names = {ord(letter): f"uni{ord(letter):04X}" for letter in set(letters)}
        order = [".notdef", *names.values()]
        builder = FontBuilder(1000)
        builder.setupGlyphOrder(order)
        builder.setupCharacterMap(names)
        pen = TTGlyphPen(None)
        pen.moveTo((100, 0))
        pen.lineTo((500, 700))
        pen.lineTo((900, 0))
        pen.closePath()
        triangle = pen.glyph()
        builder.setupGlyf(dict.fromkeys(order, triangle))
        builder.setupHorizontalMetrics(dict.fromkeys(order, (1000, 100)))
        builder.setupHorizontalHeader(ascent=800, descent=-200)
        builder.setupNameTable({"familyName": family, "styleName": "Regular"})
        builder.setupOS2(sTypoAscender=800, usWeightClass=400)
        builder.setupPost()
        file = tmp_path / f"{family}.ttf"
        builder.save(str(file))
        fontManager.addfont(str(file))
        forget()

    return make


@pytest.mark.parametrize("name", NAMES)
def test_a_font_that_is_installed_is_used(name: str, install: Install) -> None:
    install("Probe Sans", name)
    install("Probe Emoji", name)
    assert families(["a", name]) in (["DejaVu Sans", "Probe Sans"], ["DejaVu Sans"])  # DejaVu Sans has Arabic
    assert legible(name) == name


def test_names_without_a_font_are_shown_as_codes() -> None:
    assert families(["run", "café", "δρόμος", *NAMES]) == ["DejaVu Sans"]
    assert legible("run, café, δρόμος ✓") == "run, café, δρόμος ✓"
    assert legible("武术 2") == "U+6B66.672F 2"
    assert len({legible(name) for name in NAMES}) == len(NAMES)
    assert legible("a\U000e0101\u0e47b") == "ab", "marks that are not seen by themselves"


@pytest.mark.parametrize("installed", [True, False])
def test_the_overview_has_no_boxes(installed: bool, install: Install, tmp_path: Path) -> None:
    """Matplotlib warns of each letter for which it draws a box."""
    if installed:
        install("Probe Sans", "".join(NAMES))
    write_results(tmp_path, NAMES)
    write_map(tmp_path, NAMES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_overview(tmp_path, tmp_path / "overview.png")
    assert np.ptp(matplotlib.image.imread(tmp_path / "overview.png")) > 0
