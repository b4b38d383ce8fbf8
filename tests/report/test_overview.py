"""The overview picture shows the results, and its bytes depend only on them."""

import json
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.text import Text

from mofore.report.overview import compose, draw_overview
from mofore.report.style import INK, RED, STYLE, darker
from tests.helpers.made_results import with_intervals
from tests.helpers.synthetic_results import CLASSES, write_map, write_results


@pytest.fixture
def results(tmp_path: Path) -> Path:
    write_results(tmp_path, CLASSES)
    write_map(tmp_path, CLASSES)
    return tmp_path


def figure_of(results: Path) -> Figure:
    with matplotlib.style.context(["default", STYLE]):
        figure = compose(results)
        figure.draw_without_rendering()
    return figure


def panel(figure: Figure, title: str) -> Axes:
    (found,) = [ax for ax in figure.axes if title in ax.get_title(loc="left")]
    return found


def change(path: Path, row: str, **scores: float) -> None:
    table: dict[str, Any] = json.loads(path.read_text())
    table[row] |= scores
    path.write_text(json.dumps(table))


def words(part: Figure | Axes) -> list[str]:
    return [text.get_text() for text in part.findobj(Text) if isinstance(text, Text) and text.get_text()]


@pytest.mark.slow
def test_same_results_give_same_bytes_under_any_user_style(results: Path) -> None:
    first, second = results / "first.png", results / "second.png"
    draw_overview(results, first)
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black", "savefig.dpi": 300}):
        draw_overview(results, second)
    assert first.read_bytes() == second.read_bytes()
    assert matplotlib.image.imread(first).shape[:2] == (1000, 1600)
    assert b"Software" not in first.read_bytes()
    assert first.stat().st_size < 400_000


def test_headline_compares_the_scores_with_random_init(results: Path) -> None:
    change(results / "linear.json", "mofore", top1=0.912)
    change(results / "knn.json", "random_init", r_at_1=0.441)
    headline = figure_of(results).get_suptitle()
    assert "48 test videos, 12 classes" in headline
    assert "linear top-1 0.91 (random init 0.74)" in headline
    assert "retrieval R@1 0.89 (random init 0.44)" in headline


def test_skill_lines_match_the_file_and_zero_is_drawn(results: Path) -> None:
    ax = panel(figure_of(results), "Forecast skill")
    forecast = pd.read_csv(results / "forecast.csv")
    lines = [np.asarray(drawn.get_xydata()) for drawn in ax.lines]
    for _, points in forecast.groupby("series"):
        assert any(np.array_equal(xy_N2, points[["gap", "skill"]]) for xy_N2 in lines)
    assert any(np.array_equal(drawn.get_ydata(), [0, 0]) for drawn in ax.lines)
    hollow = [drawn for drawn in ax.lines if drawn.get_markerfacecolor() == "white"]
    assert [np.asarray(drawn.get_xdata()).tolist() for drawn in hollow] == [[52, 57]] * 3, (
        "gaps that training did not have"
    )
    bands = [band for band in ax.collections if isinstance(band, PolyCollection)]
    ends = [path.get_extents().extents for band in bands for path in band.get_paths()]
    persistence = forecast[forecast["series"] == "against persistence"]
    assert ends[0] == pytest.approx([2, persistence["low"].min(), 57, persistence["high"].max()])


@pytest.mark.slow
def test_each_row_has_its_scores_and_intervals(results: Path) -> None:
    change(results / "linear.json", "motion", top1=0.61, top1_low=0.5, top1_high=0.8)
    ax = panel(figure_of(results), "Scores")
    rows = [label.get_text() for label in ax.get_yticklabels()]
    assert rows == list(json.loads((results / "linear.json").read_text()))
    assert "0.91  0.89" in words(ax)
    index = rows.index("motion")
    drawn = [np.asarray(part.get_xydata()) for part in ax.lines]
    own = [xy_N2[:, 0].tolist() for xy_N2 in drawn if abs(xy_N2[0, 1] - index) < 0.5]
    assert [0.5, 0.8] in own
    assert [0.61] in own


@pytest.mark.slow
def test_controls_that_are_not_clearly_worse_are_marked(results: Path) -> None:
    for control in ("random_init", "motion", "supervised"):
        for name in ("linear", "knn"):
            change(results / f"{name}.json", control, lead=0.3, lead_low=0.2, lead_high=0.4)
    assert not [word for word in words(panel(figure_of(results), "Scores")) if "\n" in word]
    change(results / "linear.json", "motion", lead=0.02, lead_low=-0.03, lead_high=0.06)
    change(results / "knn.json", "metadata", lead=-0.2, lead_low=-0.3, lead_high=-0.1)
    notes = [word.split("\n") for word in words(panel(figure_of(results), "Scores")) if "\n" in word]
    assert notes == [["0.11  0.09", "beats mofore"], ["0.63  0.61", "no clear lead"]]


def test_the_shipped_encoder_is_marked_as_a_fault_only_if_it_is_better(results: Path) -> None:
    for name, score in (("linear", "top1"), ("knn", "r_at_1")):
        table = json.loads((results / f"{name}.json").read_text())
        table["shipped"] = with_intervals(**{score: 0.8, "lead": 0.1})
        (results / f"{name}.json").write_text(json.dumps(table))
    for low, high, words, colour in (
        (0.01, 0.1, "", INK),
        (-0.1, 0.1, "\nno clear lead", INK),
        (-0.1, -0.01, "\nbeats mofore", RED),
    ):
        change(results / "knn.json", "shipped", lead_low=low, lead_high=high)
        texts = panel(figure_of(results), "Scores").texts
        (found,) = [text for text in texts if text.get_text().startswith("0.80  0.80")]
        assert (found.get_text(), found.get_color()) == (f"0.80  0.80{words}", darker(colour))


def test_supervised_ceiling_is_not_marked(results: Path) -> None:
    for name in ("linear", "knn"):
        for row in ("random_init", "motion"):
            change(results / f"{name}.json", row, lead=0.3, lead_low=0.2, lead_high=0.4)
        change(results / f"{name}.json", "supervised", lead=-0.2, lead_low=-0.3, lead_high=-0.1)
    assert not [word for word in words(panel(figure_of(results), "Scores")) if "\n" in word]


def test_confusion_counts_match_the_file(results: Path) -> None:
    pairs = [("Bow", "Bow")] * 5 + [("Bow", "Clap")] * 2 + [("Clap", "Kick")] * 3
    pd.DataFrame(pairs, columns=["actual", "predicted"]).to_csv(results / "confusion.csv", index=False)
    ax = panel(figure_of(results), "Confusion")
    counts = {text.get_position(): text.get_text() for text in ax.texts if text.get_text().isdigit()}
    assert counts == {(0, 0): "5", (1, 0): "2", (2, 1): "3"}  # x: predicted, y: actual, by name
    assert [label.get_text() for label in ax.get_yticklabels()] == ["Bow", "Clap", "Kick"]


@pytest.mark.slow
def test_without_labels_the_panels_say_so(tmp_path: Path) -> None:
    write_results(tmp_path, [])
    write_map(tmp_path, [""], per_class=9)
    figure = figure_of(tmp_path)
    assert "9 test videos, no labels" in figure.get_suptitle()
    for title in ("Scores", "Confusion"):
        assert any("no labels" in word for word in words(panel(figure, title)))
    (dots,) = panel(figure, "Embedding map").lines
    assert len(dots.get_xydata()) == 9  # type: ignore[arg-type]
    assert "mofore, other videos" in words(panel(figure, "Temporal"))


@pytest.mark.slow
def test_class_names_are_drawn_unchanged(results: Path) -> None:
    names = ["NA", "1", "$x$", "a,b", "Größe", "ActionWithAVeryLongName"]
    write_map(results, names)
    shown = words(panel(figure_of(results), "Embedding map"))
    assert {"NA", "1", "$x$", "a,b", "Größe", "ActionWithAVery…"} <= set(shown)
    draw_overview(results, results / "overview.png")


def test_names_do_not_overlap(results: Path) -> None:
    points = pd.read_csv(results / "map.csv")
    points[["x", "y"]] = np.where(np.arange(len(points))[:, None] < 2, [[-1.0, -1.0]], [[1.0, 1.0]])
    points.to_csv(results / "map.csv", index=False)
    forecast = pd.read_csv(results / "forecast.csv").assign(skill=0.0)
    forecast.to_csv(results / "forecast.csv", index=False)
    figure = figure_of(results)
    on_map = [t for t in panel(figure, "Embedding map").texts if t.get_text() in CLASSES]
    at_lines = [
        t for t in panel(figure, "Forecast skill").texts if "reference" in t.get_text() or "against" in t.get_text()
    ]
    for names, count in ((on_map, len(CLASSES)), (at_lines, 4)):
        assert len(names) == count
        boxes = [name.get_window_extent() for name in names]
        for i, box in enumerate(boxes):
            for other in boxes[:i]:
                across = min(box.x1, other.x1) - max(box.x0, other.x0)
                along = min(box.y1, other.y1) - max(box.y0, other.y0)
                assert across <= 0 or along <= 1, "overlap of at most a pixel"


def test_all_text_is_within_the_picture(results: Path) -> None:
    for text in figure_of(results).findobj(Text):
        assert isinstance(text, Text)
        box = text.get_window_extent()
        if text.get_text() and text.get_visible():
            assert min(box.x0, box.y0, 1600 - box.x1, 1000 - box.y1) >= 0, text.get_text()


def test_charts_do_not_move_after_their_labels_are_placed(results: Path) -> None:
    """Separated labels may reach below their chart. That must not trigger a new layout."""
    forecast = pd.read_csv(results / "forecast.csv").assign(skill=0.0)
    forecast.loc[forecast["gap"] == 2, "skill"] = 1.0
    forecast.to_csv(results / "forecast.csv", index=False)
    with matplotlib.style.context(["default", STYLE]):
        figure = compose(results)
        placed = [ax.get_window_extent().bounds for ax in figure.axes]
        figure.draw_without_rendering()
    assert [ax.get_window_extent().bounds for ax in figure.axes] == placed


@pytest.mark.slow
def test_only_some_of_many_classes_are_named(results: Path) -> None:
    many = [f"Class{i}" for i in range(101)]
    write_results(results, many)
    write_map(results, many)
    figure = figure_of(results)
    assert sum(word in many for word in words(panel(figure, "Embedding map"))) == 24
    assert not set(words(panel(figure, "Confusion"))) & set(many)


@pytest.mark.slow
def test_one_epoch_a_diverged_loss_and_no_pairs_in_time_are_drawn(results: Path) -> None:
    write_results(results, CLASSES, epochs=1)
    pretrain = pd.read_csv(results / "pretrain.csv")
    pretrain["loss"] = "nan"
    pretrain.to_csv(results / "pretrain.csv", index=False)
    (results / "temporal.csv").write_text("series,gap,similarity,low,high\n")
    (results / "forecast.csv").write_text("series,gap,skill,low,high,trained\n")
    draw_overview(results, results / "overview.png")
    figure = figure_of(results)
    assert any("room for two clips" in word for word in words(panel(figure, "Temporal")))
    assert any("room for a context" in word for word in words(panel(figure, "Forecast")))
