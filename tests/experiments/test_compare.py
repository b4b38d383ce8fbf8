"""Comparing a change on training sides: what is queued, which runs are found, and that test videos do not matter."""

import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

from mofore.config import Params, load_params
from mofore.embedding.store import Embeddings
from mofore.errors import UserError
from mofore.experiments import compare
from mofore.experiments.compare import SCORES, differences, found, main, plan, queue, training_hits
from mofore.experiments.runs import Run, flatten

PARAMS = Path(__file__).parents[2] / "params.yaml"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(PARAMS, tmp_path / "params.yaml")
    (tmp_path / "fights").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    commands: list[tuple[str, ...]] = []
    monkeypatch.setattr(compare, "dvc", lambda *arguments: commands.append(arguments))
    return commands


def run(overrides: list[str], state: str = "success") -> Run:
    """A run with these parameters, on a machine with other settings."""
    merged = OmegaConf.merge(OmegaConf.load("params.yaml"), OmegaConf.from_dotlist(["runtime.workers=7", *overrides]))
    return Run("any", flatten(dict(OmegaConf.to_container(merged))), {}, state)  # type: ignore[arg-type]


def videos(noise: float, seed: int = 0) -> Embeddings:
    rng = np.random.default_rng(seed)
    label = np.repeat(["a", "b", "c"], 40)
    number = np.tile(np.arange(40), 3)
    x_ND = (np.eye(3)[np.repeat([0, 1, 2], 40)] @ np.ones((3, 5)) * np.repeat([1, 2, 3], 40)[:, None]).astype(float)
    x_ND[np.arange(120), np.repeat([0, 1, 2], 40)] += 2
    x_ND += noise * rng.normal(size=x_ND.shape)
    split = np.where(number < 30, "train", "test")
    video = np.array([f"{name}{n}" for name, n in zip(label, number, strict=True)])
    return Embeddings(x_ND.astype(np.float32), video, label, np.array([f"g{n // 3}" for n in number]), split)


def test_each_set_and_seed_has_two_runs_which_differ_in_the_change(project: Path) -> None:
    wanted = plan(["demo", "fights"], [1, 2], ["embed.spread=0"])
    assert len(wanted) == 8
    assert wanted["demo", "params.yaml", 2] == ["data.source=demo", "seed=2"]
    assert wanted["fights", "changed", 1] == [
        *("data.source=folder", f"data.path={project / 'fights'}", "seed=1", "embed.spread=0")
    ]


@pytest.mark.parametrize(
    ("sets", "change", "message"),
    [
        (["nowhere"], ["embed.spread=0"], "nowhere: no such folder"),
        (["demo"], ["embed.spred=0"], "unknown key 'embed.spred'"),
        (["demo"], ["embed.spread=2"], "embed.spread is 2"),
    ],
)
def test_a_wrong_set_or_parameter_is_an_error(sets: list[str], change: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        plan(sets, [1], change)


def test_runs_are_found_by_their_parameters_but_for_the_machine() -> None:
    wanted = plan(["demo"], [1], ["embed.spread=0"])
    before, after = wanted.values()
    experiments = [run(before), run([*after, "knn.k=3"]), run(after, "failed")]
    assert found(before, experiments) is experiments[0]
    assert found(after, experiments) is None
    experiments.append(run(after))
    assert found(after, experiments) is experiments[3]


def test_only_missing_runs_are_queued_and_only_up_to_embed(
    called: list[tuple[str, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = plan(["demo"], [1, 2], ["embed.spread=0"])
    done, waiting, *_ = wanted.values()
    queue(wanted, [run(done), run(waiting, "queued")])
    assert called == [
        ("exp", "run", "--queue", "-S", "data.source=demo", "-S", "seed=2", "embed"),
        ("exp", "run", "--queue", "-S", "data.source=demo", "-S", "seed=2", "-S", "embed.spread=0", "embed"),
    ]
    out = capsys.readouterr().out
    assert "demo params yaml seed 1: already run" in out.replace("-", " ")
    assert "2 runs queued" in out


def test_test_videos_do_not_matter(params: Params) -> None:
    params.runtime.workers = 1
    row = videos(2.0)
    hits = training_hits(row, params)
    assert sorted(hits.video) == sorted(row.video[row.split == "train"])
    assert hits[list(SCORES)].isin([0.0, 1.0]).all().all()
    other = videos(2.0)
    other.x_ND[other.split == "test"] = 99
    other.label[other.split == "test"] = "d"
    assert training_hits(other, params).equals(hits)


def test_better_embeddings_have_a_positive_difference(params: Params) -> None:
    params.runtime.workers = 1
    tables = [
        training_hits(videos(noise, seed), params).assign(variant=variant, seed=seed)
        for seed in (1, 2)
        for variant, noise in (("params.yaml", 3.0), ("changed", 0.5))
    ]
    table = differences(pd.concat(tables)).set_index("score")
    assert (table.low > 0).all()
    for score in SCORES:
        of_variant = pd.concat(tables).groupby("variant")[score].mean()
        assert table["params.yaml"][score] == pytest.approx(of_variant["params.yaml"])
        assert table["changed"][score] == pytest.approx(of_variant["changed"])
        assert table["difference"][score] == pytest.approx(table["changed"][score] - table["params.yaml"][score])
    assert (table.videos == 90).all()
    assert (table.groups == 10).all()


def test_the_same_runs_have_no_difference(params: Params) -> None:
    params.runtime.workers = 1
    hits = training_hits(videos(3.0), params)
    both = pd.concat([hits.assign(variant=variant, seed=1) for variant in ("params.yaml", "changed")])
    assert (differences(both)[["difference", "low", "high"]] == 0).all().all()


def test_the_table_is_printed_for_each_set(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = plan(["demo", "fights"], [1], ["embed.spread=0"])
    monkeypatch.setattr(compare, "read_experiments", lambda: [run(overrides) for overrides in wanted.values()])
    monkeypatch.setattr(compare, "embeddings_of", lambda one: videos(1.0 if one.params["embed.spread"] else 3.0))
    monkeypatch.setattr("sys.argv", ["compare", "embed.spread=0", "--sets", "demo", "fights"])
    main()
    out = capsys.readouterr().out
    assert out.count("linear") == out.count("r_at_1") == 2
    assert "fights" in out
    assert "-0." in out


@pytest.mark.parametrize("words", [["embed.spread=0"], ["embed.spread"], ["queue"]])
def test_a_missing_run_or_a_wrong_word_is_an_error(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "read_experiments", list)
    monkeypatch.setattr("sys.argv", ["compare", *words])
    with pytest.raises(UserError, match="no such run of this commit" if "=" in words[0] else "as KEY=VALUE"):
        main()


def test_params_are_those_of_the_project() -> None:
    assert asdict(load_params())["embed"]["spread"] > 0, "or embed.spread=0 would change nothing here"
