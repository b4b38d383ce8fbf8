"""Scores on training sides: test videos do not matter, and differences are those of the same videos and groups."""

import numpy as np
import pandas as pd
import pytest

from mofore.config import Params
from mofore.embedding.store import Embeddings
from mofore.errors import UserError
from mofore.experiments.compare_scores import (
    SCORES,
    differences,
    held_out_hits,
    skill_difference,
    training_hits,
)


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


def table_of(row: Embeddings) -> pd.DataFrame:
    return pd.DataFrame({name: getattr(row, name) for name in ("video", "label", "group", "split")})


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


def test_held_out_videos_are_scored_by_those_of_training(params: Params) -> None:
    params.runtime.workers = 1
    row = videos(0.1)
    hits = held_out_hits(row, params)
    assert sorted(hits.video) == sorted(row.video[row.split == "test"])
    assert hits[list(SCORES)].mean().min() > 0.9
    wrong = videos(0.1)
    train = np.flatnonzero(wrong.split == "train")
    wrong.label[train] = np.roll(wrong.label[train], len(train) // 3)  # each class by the name of another
    assert held_out_hits(wrong, params)[list(SCORES)].mean().max() < 0.1
    row.label[:] = ""
    with pytest.raises(UserError, match="needs labels"):
        held_out_hits(row, params)


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
    assert (table.scored == 90).all()
    assert (table.groups == 10).all()


def test_the_same_runs_have_no_difference(params: Params) -> None:
    params.runtime.workers = 1
    hits = training_hits(videos(3.0), params)
    both = pd.concat([hits.assign(variant=variant, seed=1) for variant in ("params.yaml", "changed")])
    assert (differences(both)[["difference", "low", "high"]] == 0).all().all()


def errors(forecast_G: list[float], variant: str) -> pd.DataFrame:
    groups = [f"g{number}" for number in range(len(forecast_G))]
    return pd.DataFrame({"group": groups, "forecast": forecast_G, "persistence": 2.0, "pairs": 5, "variant": variant})


def test_skill_is_that_of_all_pairs_and_its_interval_is_over_groups() -> None:
    before, after = errors([1.8, 2.0, 2.2, 2.0], "params.yaml"), errors([1.0, 1.1, 1.3, 1.2], "changed")
    row = skill_difference(pd.concat([before, after])).iloc[0]
    assert row[["score", "scored", "groups"]].tolist() == ["skill", 20, 4]
    expected = [0, 1 - 4.6 / 8, 1 - 4.6 / 8]
    assert row[["params.yaml", "changed", "difference"]].tolist() == pytest.approx(expected)
    assert 0.3 < row["low"] < row["difference"] < row["high"] < 0.5


def test_groups_that_move_together_have_a_narrow_interval_as_differences_are_paired() -> None:
    level = np.array([0.5, 1.0, 2.0, 3.0])
    both = [errors(level.tolist(), "params.yaml"), errors((level - 0.2).tolist(), "changed")]
    row = skill_difference(pd.concat(both)).iloc[0]
    assert row[["low", "high"]].tolist() == pytest.approx([0.1, 0.1])


def test_without_pairs_there_is_no_skill() -> None:
    none = errors([], "params.yaml")
    assert len(skill_difference(pd.concat([none, none]))) == 0
