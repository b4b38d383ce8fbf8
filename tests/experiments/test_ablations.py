"""Ablations: what is queued, which runs belong to an ablation, and the differences in the table."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

from mofore.errors import UserError
from mofore.experiments import ablations
from mofore.experiments.ablation_sets import ABLATIONS, BUDGET, PAPER_ABLATIONS, SETS
from mofore.experiments.ablations import (
    DIAGNOSTICS,
    SCORES,
    Row,
    ablation_rows,
    main,
    paired_difference,
    queue,
    queue_or_tabulate,
    runs_of,
    summarise,
)
from mofore.experiments.runs import Run

PARAMS = Path(__file__).parents[2] / "params.yaml"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that holds only the project's params.yaml and presets."""
    shutil.copytree(PARAMS.parent / "presets", tmp_path / "presets")
    (tmp_path / "params.yaml").write_text(PARAMS.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Records the DVC commands instead of running them."""
    commands: list[tuple[str, ...]] = []
    monkeypatch.setattr(ablations, "dvc", lambda *arguments: commands.append(arguments))
    return commands


def three() -> tuple[Row, Row, Row]:
    """The default and two ablations."""
    rows = ablation_rows("default")
    default, forecasting, contrast = (
        next(row for row in rows if row.section == "losses" and row.name == name)
        for name in ("both", "forecasting only", "contrast only")
    )
    return default, forecasting, contrast


def test_videos_that_the_queue_does_not_find(project: Path, called: list[tuple[str, ...]]) -> None:
    params = (project / "params.yaml").read_text(encoding="utf-8")
    params = params.replace("source: demo", "source: folder").replace("path: data/videos", "path: clips")
    (project / "params.yaml").write_text(params, encoding="utf-8")
    with pytest.raises(UserError, match=rf"data.path is 'clips', .* set it to the full path, {project}/clips"):
        queue(list(three()), [1])
    assert not called


def run(row: Row, seed: int, score: float, state: str = "success", others: dict[str, Any] | None = None) -> Run:
    scores = {
        key + end: score + more for key, _ in SCORES.values() for end, more in (("", 0), ("_low", -1), ("_high", 2))
    }
    scores |= dict.fromkeys(DIAGNOSTICS.values(), 7.0)
    params = row.params | {"seed": seed, "runtime.device": "cpu"} | (others or {})
    return Run("any name", params, scores if state == "success" else {}, state)


def experiments(monkeypatch: pytest.MonkeyPatch, *runs: Run) -> None:
    monkeypatch.setattr(ablations, "read_experiments", lambda: list(runs))


def change_params(project: Path, values: dict[str, Any]) -> None:
    params = OmegaConf.load(project / "params.yaml")
    for key, value in values.items():
        OmegaConf.update(params, key, value)
    OmegaConf.save(params, project / "params.yaml")


@pytest.mark.slow
def test_only_the_first_row_of_each_section_is_the_default() -> None:
    table = pd.DataFrame(ablation_rows("default"))
    firsts = ~table["section"].duplicated()
    assert table["section"].unique().tolist() == list(ABLATIONS)
    assert (table["is_default"] == firsts).all()
    assert len({row.experiment for row in ablation_rows("default")}) == len(table) - len(ABLATIONS) + 1, (
        "one name for all defaults"
    )


@pytest.mark.slow
def test_an_ablation_equal_to_params_yaml_is_the_default(project: Path) -> None:
    change_params(project, {"clip.input": "rgb", "forecast.gap_max": 20})
    rows = ablation_rows("default")
    assert [row.name for row in rows if row.section == "input"] == [
        "rgb",
        "two streams",
        "residual",
        "both in one network",
    ]
    gaps = [row for row in rows if row.section == "gap, in video frames"]
    assert (gaps[0].name, gaps[0].is_default, gaps[1].is_default) == ("as set", True, False), (
        "no row has the values of params.yaml"
    )


def test_an_invalid_ablation_is_named_before_anything_is_queued(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ABLATIONS, "gap, in video frames", {"odd": {"forecast.gap_mx": 3}})
    with pytest.raises(UserError, match=r"ablation 'gap, in video frames: odd': params.yaml: unknown key"):
        ablation_rows("default")


@pytest.mark.slow
def test_an_experiment_is_queued_for_each_ablation_and_seed(
    monkeypatch: pytest.MonkeyPatch, called: list[tuple[str, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    experiments(monkeypatch)
    monkeypatch.setitem(SETS, "default", replace(SETS["default"], budget={"pretrain.epochs": 2}))
    monkeypatch.setitem(ABLATIONS, "losses", {"both": {}, "plain": {"contrast.time_reversed_negatives": False}})
    rows = [row for row in ablation_rows("default") if row.section == "losses"]
    queue([*rows, rows[0]], [1, 5])
    start = ("exp", "run", "--queue", "-n")
    end = ("report",)
    plain = ("-S", "pretrain.epochs=2", "-S", "contrast.time_reversed_negatives=false", "-S")
    assert called == [
        (*start, "ablation-default-1", "-S", "pretrain.epochs=2", "-S", "seed=1", *end),
        (*start, "ablation-default-5", "-S", "pretrain.epochs=2", "-S", "seed=5", *end),
        (*start, "ablation-losses-plain-1", *plain, "seed=1", *end),
        (*start, "ablation-losses-plain-5", *plain, "seed=5", *end),
    ]
    assert "4 runs queued; next: dvc queue start" in capsys.readouterr().out


@pytest.mark.slow
def test_the_papers_set_changes_the_configuration_and_keeps_the_videos(project: Path) -> None:
    change_params(project, {"data.source": "folder", "frames.short_side": 72})
    rows = ablation_rows("paper")
    firsts = [row for row in rows if row.is_default]
    assert [row.section for row in firsts] == list(PAPER_ABLATIONS)
    assert {row.experiment for row in firsts} == {"ablation-paper-default"}
    default = firsts[0]
    assert default.params["encoder.name"] == default.overrides["encoder.name"] == "small_2d"
    assert (default.params["data.source"], default.params["frames.short_side"]) == ("folder", 72)
    assert not [key for key in default.overrides if key.split(".")[0] in ("data", "demo", "frames", "runtime", "seed")]
    assert "clip.frames" not in default.overrides, "as in params.yaml already"
    assert all(isinstance(value, int | float | str) for value in default.overrides.values()), "as -S takes them"


@pytest.mark.slow
def test_failed_runs_are_queued_again_but_finished_or_queued_ones_are_not(
    monkeypatch: pytest.MonkeyPatch, called: list[tuple[str, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    default, forecasting, contrast = three()
    failed = run(contrast, 1, 0, "failed")
    experiments(monkeypatch, run(default, 1, 0.5), run(default, 2, 0.5), run(forecasting, 1, 0, "queued"), failed)
    queue([default, forecasting, contrast], [1])
    assert [command[4] for command in called] == ["ablation-losses-contrast-only-1"]
    said = capsys.readouterr().out
    assert "ablation-default-1: already has scores" in said
    assert "ablation-losses-forecasting-only-1: already queued or running" in said


@pytest.mark.slow
def test_an_experiment_name_taken_by_other_parameters_is_an_error(
    monkeypatch: pytest.MonkeyPatch, called: list[tuple[str, ...]]
) -> None:
    default, _, _ = three()
    taken = run(default, 1, 0.5, others={"pretrain.lr": 1.0})
    taken.name = "ablation-default-1"
    experiments(monkeypatch, taken)
    with pytest.raises(UserError, match=r"ablation-default-1: .* commit .* or run `dvc exp remove ablation-default-1`"):
        queue([default], [1])
    assert not called


@pytest.mark.slow
def test_runs_are_matched_by_parameters_and_not_by_name() -> None:
    default, forecasting, _ = three()
    ours = [run(default, 1, 0.5), run(default, 2, 0.5, others={"runtime.workers": 3})]
    others = [
        run(default, 3, 0.5, others={"pretrain.epochs": default.params["pretrain.epochs"] + 1}),
        run(default, 3, 0.5, "failed"),
        run(forecasting, 3, 0.5),
    ]
    assert runs_of(default, [*others, *ours]) == {1: ours[0], 2: ours[1]}


@pytest.mark.slow
def test_differences_are_paired_by_seed() -> None:
    default, forecasting, contrast = three()
    base, other = [0.5, 0.7, 0.6], [0.42, 0.58, 0.5]
    runs = [run(default, seed, score) for seed, score in enumerate(base)]
    runs += [run(forecasting, seed, score) for seed, score in enumerate(other)][::-1]
    table = summarise([default, forecasting, contrast], runs)
    assert table["name"].tolist() == ["both", "forecasting only"], "an ablation without a run is left out"
    line = table.iloc[1]
    assert line[["overrides", "runs", "effective_rank"]].tolist() == ["contrast.weight=0", 3, 7]
    assert line[["linear", "linear_low", "linear_high"]].tolist() == pytest.approx([0.5, -0.5, 2.5])
    assert line["skill_std"] == pytest.approx(np.std(other, ddof=1))
    half = 4.302653 * np.std([0.08, 0.12, 0.1], ddof=1) / np.sqrt(3)  # 97.5 % of Student's t, 2 degrees of freedom
    wanted = [-0.1, -0.1 - half, -0.1 + half]
    assert line[["delta_linear", "delta_linear_low", "delta_linear_high"]].tolist() == pytest.approx(wanted)
    assert np.isnan(table.iloc[0]["delta_linear"]), "the default is not compared with itself"


def test_seeds_that_only_one_side_has_are_ignored() -> None:
    score, default = pd.Series({1: 0.5, 2: 0.6, 4: 9.0}), pd.Series({1: 0.4, 2: 0.4, 3: 9.0})
    assert paired_difference(score, default).mean == pytest.approx(0.15)
    alone = paired_difference(score[[1]], default)
    assert alone.mean == pytest.approx(0.1)
    assert np.isnan([alone.low, alone.high]).all(), "one pair has no spread"
    assert np.isnan(paired_difference(score[[4]], default)).all()


@pytest.mark.slow
def test_the_command_writes_table_and_figure_and_lists_missing_runs(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    default, forecasting, _ = three()
    far = [run(forecasting, seed, -4.0 - seed) for seed in (1, 2)]
    experiments(monkeypatch, *[run(default, seed, 0.5 + seed / 100) for seed in (1, 2, 3)], *far)
    monkeypatch.setattr("sys.argv", ["ablations"])
    main()
    said = capsys.readouterr().out
    assert "ablation-losses-forecasting-only: 1 run missing, seed 3" in said
    assert "ablation-losses-contrast-only: 3 runs missing, seed 1, 2, 3" in said
    assert " ".join(f"{key}={value}" for key, value in BUDGET.items()) in said
    assert (project / "ablations/runs.csv").read_text().startswith("section,name,seed,linear,r_at_1,skill")
    assert (project / "ablations/table.csv").read_text().startswith("section,name,overrides,runs,linear,linear_std")
    image = cv2.imread(str(project / "ablations/figure.png"))
    assert image is not None
    assert image.std() > 5, "not a blank page"


@pytest.mark.slow
def test_tables_of_other_videos_have_a_folder_of_their_own(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    default, _, _ = three()
    experiments(monkeypatch, run(default, 1, 0.5))
    queue_or_tabulate([], Path("ablations/mine"))
    assert {file.name for file in (project / "ablations/mine").iterdir()} == {"table.csv", "runs.csv", "figure.png"}
    assert [folder.name for folder in (project / "ablations").iterdir()] == ["mine"]


@pytest.mark.slow
def test_unlabelled_videos_have_a_table_too(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    default, forecasting, _ = three()
    runs = [run(default, 1, 0.2), run(forecasting, 1, 0.3)]
    for one in runs:
        one.scores = {key: value for key, value in one.scores.items() if "skill" in key}
    experiments(monkeypatch, *runs)
    monkeypatch.setattr("sys.argv", ["ablations"])
    main()
    table = pd.read_csv(project / "ablations/table.csv")
    assert table["skill"].tolist()[:2] == [0.2, 0.3]
    assert table["linear"].isna().all()


@pytest.mark.parametrize("arguments", [["quue"], ["queue", "one"]])
def test_a_wrong_command_prints_the_usage(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["ablations", *arguments])
    with pytest.raises(UserError, match="usage"):
        main()


@pytest.mark.slow
def test_without_runs_of_the_default_no_table_is_written(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiments(monkeypatch, run(three()[1], 1, 0.5))
    monkeypatch.setattr("sys.argv", ["ablations"])
    with pytest.raises(UserError, match="no run of the default from this commit"):
        main()
    assert not (project / "ablations").exists()
