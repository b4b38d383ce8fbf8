"""Forecast skill against the gap: bins, intervals, what is not defined, and the files of the stage."""

import json
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mofore.config import Params
from mofore.evaluation.bootstrap import RESAMPLES, group_interval
from mofore.evaluation.forecast_skill import ACCURACY_SERIES, COLUMNS, SKILL_SERIES, by_gap, gap_bins, ratios, summary
from mofore.method.encoders import build_encoder, save_encoder
from mofore.method.model import MoFore
from mofore.method.saved_model import save_forecaster
from tests.helpers.forecast_world import TRAINED, P, World, world

ROOT = Path(__file__).parents[2]


def test_series_are_in_order_of_the_gap_and_within_their_intervals() -> None:
    skill, picked = by_gap(world(n_videos=200, groups=50).pairs(), 5, TRAINED)
    rising = skill[skill.series == "against persistence"]
    assert rising.gap.is_monotonic_increasing
    assert (rising.low <= rising.skill).all()
    assert (rising.skill <= rising.high).all()
    for series in ACCURACY_SERIES:
        assert picked[picked.series == series].gap.tolist() == rising.gap.tolist()
    assert list(skill.series.unique()) == list(SKILL_SERIES)
    assert list(picked.series.unique()) == list(ACCURACY_SERIES)


def test_scores_by_gap_are_ratios_of_means_in_the_bins() -> None:
    pairs = world().pairs()
    bin_N = gap_bins(pairs.gap.to_numpy(), 4, TRAINED)
    skill, picked = by_gap(pairs, 4, TRAINED)
    means = pairs.groupby(bin_N).mean(numeric_only=True)
    expected = 1 - means.forecast / means.persistence
    assert skill[skill.series == "against persistence"].skill.to_numpy() == pytest.approx(expected.to_numpy())
    moments = picked[picked.series == "among other moments of the video"]
    choices = pairs[pairs.moment_open == 1].groupby(bin_N[pairs.moment_open == 1]).mean(numeric_only=True)
    assert moments.share.to_numpy() == pytest.approx(choices.moment.to_numpy())
    assert moments.chance.to_numpy() == pytest.approx(choices.moment_chance.to_numpy())


def test_videos_too_short_for_two_clips_give_no_scores() -> None:
    w = world(clips=1)
    pairs = w.pairs()
    assert list(pairs) == ["group", "gap", *COLUMNS]
    assert summary(pairs, TRAINED) == {}
    skill, picked = by_gap(pairs, 10, TRAINED)
    assert len(skill) == len(picked) == 0
    assert list(skill) == ["series", "gap", "skill", "low", "high", "trained"]
    assert list(picked) == ["series", "gap", "share", "low", "high", "chance", "trained"]


def test_one_group_has_no_other_videos_and_no_spread() -> None:
    w = world()
    w.videos.group[:] = "all"
    w.videos.split[:] = "test"
    pairs = w.pairs()
    scores = summary(pairs, TRAINED)
    assert not any(name.startswith("accuracy_videos") for name in scores)
    assert scores["skill_persistence_low"] == pytest.approx(scores["skill_persistence"])
    assert scores["accuracy_moments_high"] == pytest.approx(scores["accuracy_moments"])
    picked = by_gap(pairs, 4, TRAINED)[1]
    assert not picked.series.str.contains("other videos").any()


@pytest.mark.parametrize("rounding", [0, 1e-7])
def test_a_space_in_which_nothing_differs_has_no_skill_and_picks_at_chance(rounding: float) -> None:
    w = world()
    x_ND = 1 + rounding * np.random.default_rng(0).normal(size=w.targets.x_ND.shape)
    w.targets = replace(w.targets, x_ND=x_ND.astype(np.float32))
    w.__post_init__()
    pairs = w.pairs()
    scores = summary(pairs, TRAINED)
    assert not any(name.startswith(("skill", "gap_use")) for name in scores)
    for name in ("accuracy_videos", "accuracy_moments"):
        assert scores[name] == pytest.approx(scores[f"{name}_chance"])
    assert len(by_gap(pairs, 4, TRAINED)[0]) == 0


@given(
    gaps=st.lists(st.integers(0, 40), min_size=1, max_size=200),
    bins=st.integers(1, 20),
    ends=st.tuples(st.integers(0, 40), st.integers(0, 40)).map(sorted),
)
def test_gap_bins_are_in_order_and_never_half_trained(gaps: list[int], bins: int, ends: list[int]) -> None:
    gap_N, (low, high) = np.array(gaps), ends
    bin_N = gap_bins(gap_N, bins, replace(TRAINED, gap_min=low, gap_max=high))
    assert set(bin_N) == set(range(bin_N.max() + 1))
    assert bin_N.max() + 1 <= bins + 2
    in_order = bin_N[np.argsort(gap_N, kind="stable")]
    assert (np.diff(in_order) >= 0).all()
    trained = (gap_N >= low) & (gap_N <= high)
    for number in set(bin_N):
        assert len(set(trained[bin_N == number])) == 1
    for gap in set(gaps):
        assert len(set(bin_N[gap_N == gap])) == 1


def test_gap_bins_hold_about_equal_numbers() -> None:
    rng = np.random.default_rng(0)
    wide = replace(TRAINED, gap_min=0, gap_max=10_000)
    assert np.bincount(gap_bins(rng.permutation(1000), 10, wide)).tolist() == pytest.approx([100] * 10, abs=1)
    halves = gap_bins(rng.permutation(1000), 10, replace(TRAINED, gap_min=0, gap_max=699))
    assert np.bincount(halves).tolist() == pytest.approx([100] * 10, abs=1)


def test_bins_of_gaps_that_training_had_are_marked() -> None:
    skill, picked = by_gap(world(clips=10).pairs(), 6, TRAINED)
    for table in (skill, picked):
        assert set(table.trained) == {True, False}
        assert (table.trained == table.gap.between(TRAINED.gap_min, TRAINED.gap_max)).all()
    pairs = world(clips=10).pairs()
    assert summary(pairs, TRAINED)["trained"] == pytest.approx(((pairs.gap >= 2) & (pairs.gap <= 12)).mean())


def test_ratios_are_those_of_a_plain_bootstrap_over_groups() -> None:
    rng = np.random.default_rng(0)
    top, bottom = rng.random((2, 60, 2))
    group, bin_of = rng.integers(0, 7, 60), rng.integers(0, 2, 60)
    found = ratios(top, bottom, bin_of, group.astype(str))
    draws = np.random.default_rng(0).multinomial(7, np.full(7, 1 / 7), size=RESAMPLES)
    for b in range(2):
        for s in range(2):
            rows = [i for i in range(60) if bin_of[i] == b]
            drawn = []
            for times in draws:
                above = sum(times[group[i]] * top[i, s] for i in rows)
                drawn.append(above / sum(times[group[i]] * bottom[i, s] for i in rows))
            expected = [top[rows, s].sum() / bottom[rows, s].sum(), *np.quantile(drawn, (0.025, 0.975))]
            assert found[b, s] == pytest.approx(expected)


def test_a_mean_is_the_ratio_to_ones() -> None:
    rng = np.random.default_rng(1)
    value, group = rng.random(50), rng.integers(0, 9, 50).astype(str)
    found = ratios(value[:, None], np.ones((50, 1)), np.zeros(50, int), group)
    assert found[0, 0] == pytest.approx(group_interval(value, group))


def test_a_ratio_to_nothing_is_not_defined() -> None:
    """In the first bin always, in the second in those resamples that have group a alone."""
    top, bottom = np.ones((4, 1)), np.array([[0.0], [0.0], [0.0], [2.0]])
    found = ratios(top, bottom, np.array([0, 0, 1, 1]), np.array(["a", "b", "a", "b"]))
    assert np.isnan(found[0, 0]).all()
    assert found[1, 0].tolist() == [1, 0.5, 1]


def make_project(folder: Path, params: Params, w: World) -> None:
    """What the stage reads: a model, and embeddings as the embed stage writes them."""
    torch.manual_seed(0)
    model = MoFore(build_encoder("small", 0), replace(params.forecast, projection_dim=P))
    save_encoder(folder / "data/model", model.encoder, "small", params.clip)
    save_forecaster(folder / "data/model", model, replace(params.forecast, projection_dim=P, gap_max=20))
    features = np.random.default_rng(0).normal(size=(len(w.features.video), 192)).astype(np.float32)
    embeddings = folder / "data/embeddings"
    embeddings.mkdir()
    for name, clips, x_ND in (("mofore", w.features, features), ("targets", w.targets, w.targets.x_ND)):
        columns = {"video": clips.video, "start": clips.start, "embedding": list(x_ND)}
        pq.write_table(pa.table(columns), embeddings / f"{name}_clips.parquet")
    text = {column: getattr(w.videos, column) for column in ("video", "label", "group", "split")}
    pq.write_table(pa.table({**text, "embedding": list(w.videos.x_ND)}), embeddings / "mofore.parquet")
    (folder / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())


@pytest.mark.parametrize("clips", [10, 1])
def test_the_stage_writes_its_files(
    clips: int, tmp_path: Path, tiny: Params, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of unlabelled videos with room for pairs of clips, and without."""
    make_project(tmp_path, tiny, world(clips=clips, step=10))
    monkeypatch.chdir(tmp_path)
    stage = runpy.run_path(str(ROOT / "stages/forecast.py"))
    written = []
    for _ in range(2):
        stage["main"]()
        written.append([path.read_bytes() for path in sorted(Path("results").iterdir())])
    assert written[0] == written[1]
    scores = json.loads(Path("results/forecast.json").read_text())
    skill, picked = pd.read_csv("results/forecast.csv"), pd.read_csv("results/forecast_accuracy.csv")
    assert list(skill) == ["series", "gap", "skill", "low", "high", "trained"]
    assert list(picked) == ["series", "gap", "share", "low", "high", "chance", "trained"]
    closing = capsys.readouterr().out.splitlines()[-1]
    if clips == 1:
        assert scores == {"mofore": {}}
        assert len(skill) == len(picked) == 0
        assert closing == "forecast: no video has room for two clips that do not overlap: no skill"
    else:
        assert set(skill.trained) == {True, False}
        assert all(np.isfinite(value) for value in scores["mofore"].values())
        assert f"skill {scores['mofore']['skill_persistence']:.3f} against persistence" in closing
