"""The overview picture: what it says, and that its bytes depend on the results alone."""

from pathlib import Path

import matplotlib
import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from synthetic_results import CLASSES, write_results

from mofore.overview import STYLE, compose, draw_overview


def write_map(results: Path, labels: list[str], per_class: int = 4) -> None:
    rng = np.random.default_rng(0)
    label = np.repeat(labels, per_class)
    xy = {"x": rng.normal(size=len(label)), "y": rng.normal(size=len(label))}
    text = {"video": [f"v{i}.avi" for i in range(len(label))], "label": label, "group": "g", "split": "test"}
    pd.DataFrame(text | xy).to_csv(results / "map.csv", index=False)


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


def words(part: Figure | Axes) -> list[str]:
    return [text.get_text() for text in part.findobj(Text) if isinstance(text, Text) and text.get_text()]


def test_same_results_same_bytes_whatever_the_users_style(results: Path) -> None:
    first, second = results / "first.png", results / "second.png"
    draw_overview(results, first)
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black", "savefig.dpi": 300}):
        draw_overview(results, second)
    assert first.read_bytes() == second.read_bytes()
    assert matplotlib.image.imread(first).shape[:2] == (1000, 1600)
    assert b"Software" not in first.read_bytes()
    assert first.stat().st_size < 400_000


def test_headline_sets_the_scores_beside_those_of_random_init(results: Path) -> None:
    headline = figure_of(results).get_suptitle()
    assert "48 test videos, 12 classes" in headline
    assert headline.count("0.91 (random init 0.44)") == 2


def test_confusion_counts_are_those_of_the_file(results: Path) -> None:
    pairs = [("Bow", "Bow")] * 5 + [("Bow", "Clap")] * 2 + [("Clap", "Kick")] * 3
    pd.DataFrame(pairs, columns=["actual", "predicted"]).to_csv(results / "confusion.csv", index=False)
    ax = panel(figure_of(results), "Confusion")
    counts = {text.get_position(): text.get_text() for text in ax.texts if text.get_text().isdigit()}
    assert counts == {(0, 0): "5", (1, 0): "2", (2, 1): "3"}  # x: predicted, y: actual, by name
    assert [label.get_text() for label in ax.get_yticklabels()] == ["Bow", "Clap", "Kick"]


def test_without_labels_the_panels_say_so(tmp_path: Path) -> None:
    write_results(tmp_path, [])
    write_map(tmp_path, [""], per_class=9)
    figure = figure_of(tmp_path)
    assert "9 test videos, no labels" in figure.get_suptitle()
    for title in ("Retrieval", "Confusion"):
        assert any("no labels" in word for word in words(panel(figure, title)))
    (dots,) = panel(figure, "Embedding map").lines
    assert len(dots.get_xydata()) == 9  # type: ignore[arg-type]


def test_names_of_classes_are_written_as_they_are(results: Path) -> None:
    names = ["NA", "1", "$x$", "a,b", "Größe", "ActionWithAVeryLongName"]
    write_map(results, names)
    shown = words(panel(figure_of(results), "Embedding map"))
    assert {"NA", "1", "$x$", "a,b", "Größe", "ActionWithAVery…"} <= set(shown)
    draw_overview(results, results / "overview.png")


def test_names_on_the_map_do_not_overlap(results: Path) -> None:
    points = pd.read_csv(results / "map.csv")
    points[["x", "y"]] = np.where(np.arange(len(points))[:, None] < 2, [[-1.0, -1.0]], [[1.0, 1.0]])
    points.to_csv(results / "map.csv", index=False)
    figure = figure_of(results)
    boxes = [t.get_window_extent() for t in panel(figure, "Embedding map").texts if t.get_text() in CLASSES]
    assert len(boxes) == len(CLASSES)
    for i, box in enumerate(boxes):
        for other in boxes[:i]:
            across = min(box.x1, other.x1) - max(box.x0, other.x0)
            along = min(box.y1, other.y1) - max(box.y0, other.y0)
            assert across <= 0 or along <= 1, "a pixel at most"


def test_of_many_classes_only_some_are_named(results: Path) -> None:
    many = [f"Class{i}" for i in range(101)]
    write_results(results, many)
    write_map(results, many)
    figure = figure_of(results)
    assert sum(word in many for word in words(panel(figure, "Embedding map"))) == 24
    assert not set(words(panel(figure, "Confusion"))) & set(many)


def test_one_epoch_a_diverged_loss_and_no_pairs_in_time_are_drawn(results: Path) -> None:
    write_results(results, CLASSES, epochs=1)
    pretrain = pd.read_csv(results / "pretrain.csv")
    pretrain["loss"] = "nan"
    pretrain.to_csv(results / "pretrain.csv", index=False)
    (results / "temporal.csv").write_text("series,gap,similarity\n")
    draw_overview(results, results / "overview.png")
    assert any("room for two clips" in word for word in words(panel(figure_of(results), "Temporal")))
