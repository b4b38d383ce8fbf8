"""Sweeps: only comparable runs are summarised, and the table and figure are written."""

import math
from pathlib import Path
from typing import Any

import cv2
import pytest

from mofore.errors import UserError
from mofore.experiments import sweep
from mofore.experiments.runs import Run
from mofore.experiments.sweep import comparable_runs, draw, main, summarise


def run(gap: Any, seed: int = 1, weight: float = 3.0, top1: float = 0.5, device: str = "cpu") -> Run:
    params = {"seed": seed, "forecast.gap_max": gap, "contrast.weight": weight, "runtime.device": device}
    scores = {}
    for row, lower in (("mofore", 0.0), ("random_init", 0.2)):
        for name in ("{}.linear", "{}.r_at_1"):
            for end, more in (("", 0.0), ("_low", -0.1), ("_high", 0.1)):
                scores[name.format(row) + end] = top1 - lower + more
    return Run(f"run-{gap}-{seed}", params, scores)


def test_runs_that_differ_in_other_parameters_are_left_out() -> None:
    runs = [run(48), run(16), run(16, seed=2, device="cuda"), run(64, weight=1.0)]
    assert comparable_runs(runs, "forecast.gap_max") == runs[:3]
    assert comparable_runs(runs, "contrast.weight") == [runs[0]]
    with pytest.raises(UserError, match=r"params.yaml: no parameter 'forecast.gp'"):
        comparable_runs(runs, "forecast.gp")


def test_scores_are_averaged_over_seeds() -> None:
    runs = [run(48, top1=0.6), run(8, seed=1, top1=0.5), run(8, seed=2, top1=0.7)]
    table = summarise(runs, "forecast.gap_max")
    mofore = table[(table["row"] == "mofore") & (table["score"] == "linear top-1")]
    assert mofore["forecast.gap_max"].tolist() == [8, 48], "ordered by value, not by run"
    assert mofore["runs"].tolist() == [2, 1]
    assert mofore["mean"].tolist() == pytest.approx([0.6, 0.6])
    assert mofore["std"].tolist() == pytest.approx([0.2 / math.sqrt(2), math.nan], nan_ok=True), "of a sample"
    assert mofore["low"].tolist() == pytest.approx([0.5, 0.5])
    assert mofore["high"].tolist() == pytest.approx([0.7, 0.7])
    assert len(table) == 2 * 2 * 2


@pytest.mark.parametrize("values", [[16, 48, 64], [False, True], ["residual", "rgb"], [1e-3]])
def test_a_figure_is_drawn_whatever_the_values_are(values: list[Any], tmp_path: Path) -> None:
    runs = [run(value) for value in values]
    picture = tmp_path / "new" / "sweep.png"
    draw(summarise(runs, "forecast.gap_max"), runs, "forecast.gap_max", picture)
    image = cv2.imread(str(picture))
    assert image is not None
    assert image.std() > 5, "not a blank page"


def test_the_command_writes_table_and_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["sweep", "forecast.gap_max"])
    monkeypatch.setattr(sweep, "read_experiments", lambda: [run(48), run(16), run(16, weight=1.0)])
    main()
    printed = capsys.readouterr().out
    assert "2 runs; left out 1 run with other changes than run-48-1" in printed
    assert "reference" not in printed
    assert "nan" not in printed.lower()
    lines = (tmp_path / "sweeps/forecast.gap_max.csv").read_text().splitlines()
    assert lines[0].startswith("forecast.gap_max,row,score,runs,mean")
    assert lines[1] == "16,mofore,linear top-1,1,0.5,,0.4,0.6", "the spread of one run is unknown"
    assert (tmp_path / "sweeps/forecast.gap_max.png").stat().st_size > 5000


def test_the_reference_is_named_if_the_current_commit_has_no_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["sweep", "forecast.gap_max"])
    commit = Run("main", run(48).params, {})
    monkeypatch.setattr(sweep, "read_experiments", lambda: [commit, run(16, weight=1.0), run(8, weight=1.0), run(48)])
    main()
    printed = capsys.readouterr().out.splitlines()
    assert "sweep: commit main has no up-to-date scores: experiment run-16-1 is the reference" in printed
    assert printed[-1].startswith("sweep: 2 runs; left out 1 run with other changes than run-16-1; see")


@pytest.mark.slow
def test_missing_runs_and_a_missing_repository_are_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["sweep", "seed"])
    with pytest.raises(UserError, match=r"^dvc exp show: "):
        main()
    monkeypatch.setattr(sweep, "read_experiments", list)
    with pytest.raises(UserError, match="no run has scores: run `dvc repro` and commit"):
        main()
    monkeypatch.setattr("sys.argv", ["sweep"])
    with pytest.raises(UserError, match="usage"):
        main()
