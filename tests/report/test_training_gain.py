"""What is said of training beside the shipped encoder, in each of the cases that a run can show."""

from pathlib import Path

from typer.testing import CliRunner

from mofore.cli.main import make_app
from mofore.report.results import Results
from mofore.report.training_gain import USE_SHIPPED, training_gain
from tests.helpers.made_results import make_results, with_intervals


def results_with(linear: float, knn: float) -> Results:
    """Results with these leads over the shipped encoder, each with an interval of 0.02 to either side."""
    results = make_results()
    results.linear["shipped"] = with_intervals(top1=0.9 - linear, lead=linear)
    results.knn["shipped"] = with_intervals(r_at_1=0.9 - knn, lead=knn)
    return results


def test_harm_is_told_with_what_to_do() -> None:
    gain = training_gain(results_with(-0.05, 0.0))
    assert gain
    assert gain.harm
    assert str(gain) == (
        "Training on these videos has harmed the shipped encoder: linear top-1 from 95.0% to 90.0%, -5.0 points (-7.0 "
        "to -3.0), worse; retrieval R@1 from 90.0% to 90.0%, +0.0 points (-2.0 to +2.0), not clear. Use the shipped "
        "encoder as it is (mofore embed PATH --encoder shipped)."
    )


def test_harm_in_one_score_and_gain_in_the_other() -> None:
    gain = training_gain(results_with(0.3, -0.05))
    assert gain
    assert gain.harm
    assert gain.what == "Training on these videos has harmed the shipped encoder in one score"
    assert gain.advice.startswith("Where retrieval R@1 counts, use the shipped encoder as it is (")


def test_nothing_beyond_the_interval_is_said_plainly() -> None:
    gain = training_gain(results_with(0.003, -0.01))
    assert gain
    assert not gain.harm
    assert str(gain).startswith(
        "Training on these videos adds nothing beyond doubt to the shipped encoder: linear top-1 from 89.7% to 90.0%, "
        "+0.3 points (-1.7 to +2.3), not clear;"
    )
    assert gain.advice == f"Without more videos to train on, you may as well use {USE_SHIPPED}."


def test_a_clear_gain_needs_no_advice() -> None:
    gain = training_gain(results_with(0.03, 0.0))
    assert gain
    assert not gain.harm
    assert str(gain) == (
        "Training on these videos has clearly improved the shipped encoder: linear top-1 from 87.0% to 90.0%, +3.0 "
        "points (+1.0 to +5.0), better; retrieval R@1 from 90.0% to 90.0%, +0.0 points (-2.0 to +2.0), not clear."
    )


def test_nothing_is_said_without_labels_or_after_a_random_start() -> None:
    assert training_gain(make_results()) is None
    results = results_with(0.1, 0.1)
    results.linear = {row: {} for row in results.linear}
    results.knn = {row: {} for row in results.knn}
    assert training_gain(results) is None


def test_the_command_of_the_advice_exists(tmp_path: Path) -> None:
    """A folder without videos is refused, but not the command itself."""
    words = USE_SHIPPED.split("(mofore ")[1].rstrip(")").replace("PATH", str(tmp_path)).split()
    done = CliRunner().invoke(make_app(), [*words, "--out", str(tmp_path / "table.parquet")])
    assert "video" in str(done.exception)
    assert "Usage" not in done.output
