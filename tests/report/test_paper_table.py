"""The table of the paper's measures: which columns and values it shows, and the sentence about collapse."""

import pytest

from mofore.evaluation.paper_measures import PAPER
from mofore.report.markup import NO_VALUE, Cell
from mofore.report.paper_table import MEASURES, collapse_reminder, paper_table
from mofore.report.results import PaperResults
from tests.helpers.made_results import make_results, with_intervals

ALIVE = {"effective_rank": 12.34, "spread": 0.9}


def texts(cells: object) -> list[str]:
    assert isinstance(cells, list)
    return [cell.text if isinstance(cell, Cell) else cell for cell in cells]


def test_columns_without_values_are_left_out() -> None:
    paper = make_results().paper
    assert paper_table(paper).head == ["measure", "MoFore", "random\nweights"]
    paper.published = dict(PAPER)
    assert paper_table(paper).head == ["measure", "the paper,\none example", "MoFore", "random\nweights"]
    paper.examples = {row: {"same_video": 0.5} for row in paper.rows}
    assert len(paper_table(paper).head) == 6


def test_each_value_stands_in_its_row_and_column() -> None:
    rows = {
        "mofore": with_intervals(same_video=0.91234, same_class=0.5, forecasting_error=0.03) | ALIVE,
        "random_init": with_intervals(same_video=0.98, different_class=0.7) | ALIVE,
    }
    examples = {"mofore": {"same_video": 0.81}, "random_init": {"same_video": 0.82}}
    table = paper_table(PaperResults(rows, examples, PAPER))
    found = {row[0].text: row[1:] for row in table.rows if isinstance(row[0], Cell)}
    assert list(found) == [words for words, _, _ in MEASURES.values()]
    assert texts(found["same video"]) == ["0.9995", "0.9123", "0.9800", "0.8100", "0.8200"]
    assert texts(found["same class"]) == ["0.7901", "0.5000", NO_VALUE, NO_VALUE, NO_VALUE]
    assert texts(found["different class"]) == ["0.5521", NO_VALUE, "0.7000", NO_VALUE, NO_VALUE]
    assert texts(found["forecasting error"])[:2] == ["0.0039", "0.0300"]
    assert texts(found["effective rank"])[:3] == [NO_VALUE, "12.3", "12.3"]
    mofore = found["same video"][1]
    assert isinstance(mofore, Cell)
    assert mofore.small == "0.8923 to 0.9323"


@pytest.mark.parametrize("measured", [True, False])
def test_the_reminder_of_collapse_has_the_numbers(measured: bool) -> None:
    same = {row: {"same_video": value} if measured else {} for row, value in (("mofore", 0.97), ("random_init", 0.99))}
    rows = {"mofore": same["mofore"] | ALIVE, "random_init": same["random_init"] | {"effective_rank": 3.21}}
    words = collapse_reminder(PaperResults(rows, {}, {}))
    assert words.startswith("Similarities near 1 are also what a collapsed encoder has")
    assert words.endswith("effective rank 12.3, of random weights 3.2.")
    assert ("same-video similarity 0.9700, of random weights 0.9900" in words) == measured
