"""Benchmark of objectives: every method trains, all are tuned equally, and tables and figure have the right numbers."""

import copy
import math
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from mofore.clips.dataset import Sample
from mofore.config import Params
from mofore.errors import UserError
from mofore.frames.store import FrameStore
from mofore.method.encoders import build_encoder
from mofore.method.shipped import shipped_encoder

pytest.importorskip("lightly")
pytest.importorskip("transformers")
sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
controls, models, runs, tables = (
    import_module(f"objective_{name}") for name in ("controls", "models", "run", "tables")
)

CPU = torch.device("cpu")
CLASSES, BATCH = 3, 8


def batch(params: Params) -> Sample:
    """Pairs of clips of random pixels."""
    size, frames = params.clip.size, params.clip.frames + (params.clip.input != "rgb")
    clips = torch.randint(256, (BATCH, 2, frames, size, size, 3), dtype=torch.uint8, generator=torch.manual_seed(0))
    colour_B34 = torch.eye(3, 4).expand(BATCH, 3, 4).contiguous()
    gap_BF = torch.zeros(BATCH, 1, dtype=torch.int64)
    return Sample(clips[:, 0], clips[:, 1:], colour_B34, colour_B34[:, None], gap_BF, torch.arange(BATCH) % CLASSES)


def parameters(encoder: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in encoder.parameters()])


@pytest.mark.parametrize("method", models.METHODS)
def test_a_step_changes_the_encoder_and_keeps_it_finite(method: str, tiny: Params) -> None:
    models.apply_settings(tiny, method, models.CANDIDATES[method][-1])
    trainer = models.make_trainer(method, tiny, CLASSES, CPU)
    before = parameters(trainer.encoder)
    for _ in range(3):
        trainer.step(batch(tiny), 0.1)
    after = parameters(trainer.encoder)
    assert after.isfinite().all()
    assert not torch.equal(before, after)
    x_NCTHW = torch.rand(2, 3, tiny.clip.frames, tiny.clip.size, tiny.clip.size)
    features_ND = trainer.encoder.eval()(x_NCTHW)
    assert features_ND.shape == (2, 192), "the same dimension for all methods"


@pytest.mark.parametrize("method", models.RIVALS)
def test_every_trainable_parameter_of_a_rival_gets_a_gradient(method: str, tiny: Params) -> None:
    models.apply_settings(tiny, method, models.CANDIDATES[method][0])
    trainer = models.make_trainer(method, tiny, CLASSES, CPU)
    pairs = batch(tiny)
    loss = trainer.loss(*models.to_inputs(pairs, tiny.clip.input), pairs.group)
    assert loss.isfinite()
    loss.backward()
    without = [name for name, p in trainer.objective.named_parameters() if p.requires_grad and p.grad is None]
    assert not without


@pytest.mark.parametrize("method", ["moco", "byol"])
def test_ema_encoders_are_updated_without_gradient(method: str, tiny: Params) -> None:
    trainer = models.make_trainer(method, tiny, CLASSES, CPU)
    objective = trainer.objective
    assert not any(p.requires_grad for p in objective.ema.parameters())
    before = parameters(objective.ema)
    with torch.no_grad():
        for p in objective.online.parameters():
            p.add_(1)
    objective.update_ema(0.9)
    torch.testing.assert_close(parameters(objective.ema), before + 0.1)


def test_shuffled_keys_return_in_their_order(tiny: Params) -> None:
    objective = models.MoCo(tiny, CLASSES).eval()  # in eval mode BatchNorm does not depend on the parts
    x_BCTHW = torch.rand(BATCH, 3, tiny.clip.frames, tiny.clip.size, tiny.clip.size)
    query_BP, key_BP = objective(x_BCTHW, x_BCTHW)
    torch.testing.assert_close(query_BP, key_BP)


def test_the_same_places_are_masked_at_all_times(tiny: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.clip.size = 56
    objective = models.VideoMAE(tiny, CLASSES)
    seen: list[torch.Tensor] = []
    inner = objective.model.forward

    def forward(x_NTCHW: torch.Tensor, bool_masked_pos: torch.Tensor) -> Any:
        seen.append(bool_masked_pos)
        return inner(x_NTCHW, bool_masked_pos=bool_masked_pos)

    monkeypatch.setattr(objective.model, "forward", forward)
    objective(torch.rand(2, 3, 4, 56, 56), torch.rand(2, 3, 4, 56, 56))
    masked_NTS = seen[0].view(4, 2, 49)
    assert torch.equal(masked_NTS[:, 0], masked_NTS[:, 1])
    assert (masked_NTS.sum(dim=2) == 44).all(), "nine tenths are masked"
    assert not torch.equal(masked_NTS[0], masked_NTS[1]), "each clip has its own mask"


def test_all_methods_have_four_candidates_of_known_parameters(params: Params) -> None:
    assert set(models.CANDIDATES) == set(models.RECOMMENDED) == set(models.METHODS)
    assert {len(candidates) for candidates in models.CANDIDATES.values()} == {4}
    for method, candidates in models.CANDIDATES.items():
        assert len({str(settings) for settings in candidates}) == 4
        for settings in [models.RECOMMENDED[method], *candidates]:
            for key in settings:
                section, name = key.split(".")
                assert hasattr(getattr(params, section), name), key


@pytest.mark.parametrize("budget", ["time", "clips"])
def test_a_run_is_scored_at_each_point(budget: str, pack: Any, tiny: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = pack([30] * 16, texture=True)
    tiny.embed.clips, tiny.linear.holdout = 2, 0.5
    monkeypatch.setattr(runs, "load_params", lambda: tiny)
    amount = 0.05 if budget == "time" else 5 * 2 * tiny.pretrain.batch_size
    found = runs.run(runs.Job("supervised", "random", {}, 1, budget, amount, [0.4, 1.0]), folder)
    assert found.video == [f"class1/v{v}.avi" for v in (3, 7, 11, 15)]
    assert [len(point.linear) for point in found.points] == [4, 4]
    if budget == "clips":
        assert [point.clips for point in found.points] == [2 * 8, 5 * 8]
    else:
        assert found.points[-1].seconds >= 0.05
    assert found.points[0].seconds < found.points[1].seconds


@pytest.mark.parametrize("method", ["mofore", "byol"])
@pytest.mark.parametrize("start", runs.STARTS)
def test_methods_train_and_embed_what_the_pipeline_does(
    start: str, method: str, pack: Any, tiny: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = pack([30] * 16, texture=True)
    tiny.clip.input, tiny.encoder.start, tiny.encoder.keep, tiny.pretrain.streams = (
        "two_stream",
        "shipped",
        "averaged",
        "motion",
    )
    tiny.embed.clips, tiny.embed.grid, tiny.embed.spread, tiny.embed.standardise = 2, 2, 0.7, True
    tiny.linear.holdout = 0.5
    monkeypatch.setattr(runs, "load_params", lambda: copy.deepcopy(tiny))
    embedded: list[Any] = []
    score = runs.score

    def recorded(encoder: Any, *rest: Any) -> Any:
        embedded.append(encoder)
        return score(encoder, *rest)

    monkeypatch.setattr(runs, "score", recorded)
    runs.run(runs.Job(method, start, {}, 1, "clips", 3 * 2 * tiny.pretrain.batch_size, [1.0]), folder)
    first: Any = shipped_encoder("two_stream") if start == "shipped" else build_encoder("small", 1, "two_stream")
    motion, appearance = (
        not torch.equal(parameters(now), parameters(then))
        for now, then in zip(embedded[0].streams, first.streams, strict=True)
    )
    assert motion, "the motion stream is trained"
    assert appearance == (start == "random"), "the appearance stream is trained from random weights only"


def test_averaging_leaves_the_trained_encoder_as_it_is(params: Params) -> None:
    params.clip.input, params.encoder.keep, params.pretrain.streams = "two_stream", "averaged", "motion"
    trained = build_encoder("small", 1, "residual")
    before = parameters(trained)
    averaged = runs.final_encoder(trained, params)
    assert torch.equal(parameters(trained), before)
    expected = 0.75 * before + 0.25 * parameters(shipped_encoder("residual"))
    torch.testing.assert_close(parameters(averaged.streams[0]), expected)


@pytest.mark.parametrize("method", models.RIVALS)
def test_a_rival_with_two_streams_trains_both(method: str, tiny: Params) -> None:
    tiny.clip.input = "two_stream"
    models.apply_settings(tiny, method, models.CANDIDATES[method][0])
    trainer = models.make_trainer(method, tiny, CLASSES, CPU)
    before = [parameters(stream) for stream in trainer.encoder.streams]
    trainer.step(batch(tiny), 0.1)
    for stream, weights in zip(trainer.encoder.streams, before, strict=True):
        assert not torch.equal(parameters(stream), weights)
    clips = torch.rand(2, 6, 4, tiny.clip.size, tiny.clip.size)
    assert trainer.encoder.eval()(clips).shape == (2, 2 * 192)
    for stream in trainer.encoder.streams:
        assert stream.pyramid(clips[:, :3], 2).shape == (2, 5, 192)


def test_tuning_uses_no_test_video_and_splits_no_group(params: Params, pack: Any) -> None:
    videos = FrameStore(pack([30] * 32))
    train_V, held_V = runs.split(videos, params, runs.Job("byol", "random", {}, 1, "time", 1.0, [1.0], tuning=True))
    table = videos.table
    assert set(table.split[train_V]) == set(table.split[held_V]) == {"train"}
    assert not set(table.group[train_V]) & set(table.group[held_V])
    assert len(train_V) + len(held_V) == (table.split == "train").sum()


def test_folds_test_every_video_once_and_split_no_group(params: Params, pack: Any) -> None:
    videos = FrameStore(pack([30] * 32))
    tested = []
    for fold in range(3):
        train_V, test_V = runs.split(
            videos, params, runs.Job("byol", "random", {}, 1, "time", 1.0, [1.0], fold=fold, folds=3)
        )
        assert sorted([*train_V, *test_V]) == list(range(32))
        assert not set(videos.table.group[train_V]) & set(videos.table.group[test_V])
        tested += test_V.tolist()
    assert sorted(tested) == list(range(32))


@pytest.mark.parametrize("folds", [1, 9])  # one fold would leave nothing to train on
def test_folds_without_groups_for_them_are_an_error(folds: int, params: Params, pack: Any) -> None:
    videos = FrameStore(pack([30] * 8))
    groups = videos.table.group.nunique()
    job = runs.Job("byol", "random", {}, 1, "time", 1.0, [1.0], folds=folds)
    with pytest.raises(
        UserError, match=f"^--folds {folds}: .* {groups} groups: use 2 to {groups}, or 0 for the split$"
    ):
        runs.split(videos, params, job)
    with pytest.raises(UserError, match=r" 1 group: use 0 for the split$"):
        runs.split(videos.select(np.array([0])), params, job)


def test_folds_are_merged_into_one_result() -> None:
    one, other = trained("byol", 1, [1, 1, 0, 0], [1, 0, 0, 0]), trained("byol", 1, [0, 0, 0, 1], [1, 1, 1, 1])
    other.video, other.group = ["e", "f", "g", "h"], ["i", "i", "j", "j"]
    other.points[-1].seconds, other.points[-1].clips = 64.0, 1400
    both = runs.merge_folds([one, other])
    assert (both.video, both.group) == (list("abcdefgh"), list("gghhiijj"))
    last = both.points[-1]
    assert (last.seconds, last.clips) == (62.0, 1300)
    assert last.linear == [1, 1, 0, 0, 0, 0, 0, 1]
    assert last.r_at_1 == [1, 0, 0, 0, 1, 1, 1, 1]


@pytest.mark.parametrize("folds", [0, 3])
def test_controls_are_tested_on_the_same_videos(
    folds: int, pack: Any, tiny: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = pack([30] * 16, texture=True)
    tiny.embed.clips, tiny.linear.holdout = 2, 0.5
    monkeypatch.setattr(runs, "load_params", lambda: tiny)
    rows = controls.control_rows(folder, "random", [1, 2], folds)
    assert [(row.job.method, row.job.seed) for row in rows] == [(c, s) for s in (1, 2) for c in controls.CONTROLS]
    jobs = [
        runs.Job("supervised", "random", {}, 1, "clips", 16, [1.0], fold=fold, folds=folds)
        for fold in range(max(1, folds))
    ]
    beside = runs.merge_folds([runs.run(job, folder) for job in jobs])
    for row in rows:
        assert (row.video, row.group) == (beside.video, beside.group)
        assert len(row.points[-1].linear) == len(row.points[-1].r_at_1) == len(row.video)


def test_one_sided_simclr_has_gradient_from_the_first_clips_only(tiny: Params) -> None:
    objective = models.OneSidedSimCLR(tiny, CLASSES)
    x_BCTHW = torch.rand(2, BATCH, 3, tiny.clip.frames, tiny.clip.size, tiny.clip.size)
    first_BP, second_BP = objective(*x_BCTHW)
    assert first_BP.requires_grad
    assert not second_BP.requires_grad


def trained(method: str, seed: int, linear: list[int], r_at_1: list[int], budget: str = "time") -> Any:
    job = runs.Job(method, "random", {}, seed, budget, 60.0, [0.5, 1.0])
    points = [runs.Point(30.0, 600, [0, 0, 0, 0], [0, 0, 0, 0]), runs.Point(60.0, 1200, linear, r_at_1)]
    return runs.Trained(job, points, ["a", "b", "c", "d"], ["g", "g", "h", "h"])


FOUND = [
    trained("mofore", 1, [1, 1, 1, 1], [1, 1, 0, 0]),
    trained("mofore", 2, [1, 1, 1, 0], [1, 1, 0, 0]),
    trained("byol", 1, [1, 1, 0, 0], [1, 1, 0, 0]),
    trained("byol", 2, [1, 0, 0, 0], [1, 1, 0, 0]),
]


def test_leads_are_paired_by_video() -> None:
    table = tables.summarise(FOUND).set_index(["score", "method"])
    byol, ours = table.loc[("linear", "byol")], table.loc[("linear", "mofore")]
    assert ours["mean"] == pytest.approx(7 / 8)
    assert byol["mean"] == pytest.approx(3 / 8)
    assert byol["lead"] == pytest.approx(1 / 2)
    # the lead is 1/4 in group g and 3/4 in group h; resamples have one or both
    assert (byol["lead_low"], byol["lead_high"]) == pytest.approx((1 / 4, 3 / 4))
    assert byol["std"] == pytest.approx(np.std([0.5, 0.25], ddof=1))
    assert ours["lead"] == ours["lead_low"] == ours["lead_high"] == 0
    r_at_1 = table.loc[("r_at_1", "byol")]
    assert (r_at_1["mean"], r_at_1["lead"], r_at_1["lead_low"], r_at_1["lead_high"]) == (0.5, 0, 0, 0)
    assert r_at_1["clips_per_second"] == 20
    text = tables.format_summary(tables.summarise(FOUND))
    assert "MoFore leads by +0.500 (+0.250 to +0.750)" in text


def test_controls_are_compared_under_each_budget() -> None:
    job = runs.Job("motion", "random", {}, 1, tables.UNTRAINED, 0, [1.0])
    motion = runs.Trained(job, [runs.Point(0.0, 0, [1, 0, 0, 0], [1, 1, 1, 1])], FOUND[0].video, FOUND[0].group)
    table = tables.summarise([*FOUND, motion])
    assert set(table["budget"]) == {"time"}, "clips were not compared"
    row = table.set_index(["score", "method"]).loc[("linear", "motion")]
    assert (row["mean"], row["clips"]) == (0.25, 0)
    assert row["lead"] == pytest.approx(7 / 8 - 1 / 4)
    assert math.isnan(row["clips_per_second"])
    assert "nan" not in tables.format_summary(table)


def test_a_rival_without_mofore_has_no_lead() -> None:
    table = tables.summarise(FOUND[3:])
    assert "lead" not in table
    assert math.isnan(table["std"].iloc[0])
    assert "leads" not in tables.format_summary(table)


def test_every_scoring_has_a_row_and_is_drawn(tmp_path: Path) -> None:
    motion = runs.Job("motion", "random", {}, 1, tables.UNTRAINED, 0, [1.0])
    at_once = runs.Trained(motion, [runs.Point(0.0, 0, [1, 0, 0, 0], [1, 1, 1, 1])], FOUND[0].video, FOUND[0].group)
    found = [*FOUND, trained("byol", 1, [1, 1, 1, 1], [0, 0, 0, 0], "clips"), at_once]
    points = tables.all_points(found)
    assert len(points) == 11
    last = points[(points["budget"] == "time") & (points["seed"] == 2) & (points["point"] == 1)].set_index("method")
    assert last["linear"].to_dict() == {"byol": 0.25, "mofore": 0.75}
    tables.draw(points, tables.summarise(found), tmp_path / "objectives.png")
    image = cv2.imread(str(tmp_path / "objectives.png"))
    assert image is not None
    assert image.std() > 5, "not a blank page"
