"""The paper's measures: slow references in plain loops, collapsed encoders, the paper's videos, UCF101's names."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mofore.embedding.store import ClipEmbeddings, Embeddings
from mofore.evaluation.bootstrap import group_interval
from mofore.evaluation.forecast_pairs import MOST_CLIPS, Forecaster
from mofore.evaluation.paper_measures import (
    DIFFERENT_CLASS_EXAMPLE,
    EXAMPLE,
    SAME_CLASS_EXAMPLE,
    forecasting_error,
    is_ucf101,
    paper_examples,
    similarities,
)
from tests.helpers.forecast_world import SPAN, Floats, Ints, World, world

COSINES = ("same_video", "temporal_consistency", "same_class", "different_class")
PAPERS = [f"YoYo/{EXAMPLE}.avi", f"YoYo/{SAME_CLASS_EXAMPLE}.avi", f"SkyDiving/{DIFFERENT_CLASS_EXAMPLE}.avi"]


def packed(
    x_VKD: np.ndarray,
    start_VK: np.ndarray,
    label: list[str] | None = None,
    group: list[str] | None = None,
    split: list[str] | None = None,
    names: list[str] | None = None,
) -> tuple[ClipEmbeddings, Embeddings]:
    """Clip and video embeddings in the format of the stage. By default unlabelled, each in its own group, all test."""
    videos, clips, dim = x_VKD.shape
    name = np.array(names or [f"v{i}.avi" for i in range(videos)])
    rows = ClipEmbeddings(x_VKD.reshape(-1, dim).astype(np.float32), np.repeat(name, clips), start_VK.reshape(-1))
    text = [np.array(part) for part in (label or [""] * videos, group or name, split or ["test"] * videos)]
    return rows, Embeddings(x_VKD.mean(axis=1).astype(np.float32), name, *text)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def slow_similarities(clips: ClipEmbeddings, videos: Embeddings) -> dict[str, list[tuple[float, str]]]:
    """For each measure, the cosine and the group of each pair, in plain loops."""
    found: dict[str, list[tuple[float, str]]] = {name: [] for name in COSINES}
    tests = [v for v in range(len(videos.video)) if videos.split[v] == "test"] or list(range(len(videos.video)))
    for v in tests:
        rows = np.flatnonzero(clips.video == videos.video[v])
        clip_at = {int(clips.start[row]): clips.x_ND[row].astype(np.float64) for row in rows}
        views = [clip_at[start] for start in sorted(clip_at)]
        for a, b in pairwise(views):
            found["temporal_consistency"].append((cosine(a, b), videos.group[v]))
        if len(views) > 1:
            found["same_video"].append((cosine(sum(views[::2]), sum(views[1::2])), videos.group[v]))
    for a, b in combinations(tests, 2):
        if videos.group[a] != videos.group[b] and videos.label[a] and videos.label[b]:
            name = "same_class" if videos.label[a] == videos.label[b] else "different_class"
            found[name].append((cosine(videos.x_ND[a].astype(float), videos.x_ND[b].astype(float)), ""))
    return {name: values for name, values in found.items() if values}


@st.composite
def encoded(draw: st.DrawFn) -> tuple[ClipEmbeddings, Embeddings]:
    """Videos with any number of clips, classes, groups and test videos. Clips with the same start are the same clip."""
    videos, clips, rng = (
        draw(st.integers(1, 7)),
        draw(st.integers(1, 6)),
        np.random.default_rng(draw(st.integers(0, 99))),
    )
    start_VK = np.sort(rng.integers(0, draw(st.integers(1, 9)), (videos, clips)), axis=1)
    of_start_VSD = 0.5 + rng.normal(size=(videos, 9, 5))
    x_VKD = np.take_along_axis(of_start_VSD, start_VK[:, :, None], axis=1)
    label = [draw(st.sampled_from(["", "a", "b"])) for _ in range(videos)]
    group = [draw(st.sampled_from(["g1", "g2", "g3"])) for _ in range(videos)]
    side = {name: draw(st.sampled_from(["train", "test"])) for name in ("g1", "g2", "g3")}
    return packed(x_VKD, start_VK, label, group, [side[name] for name in group])


@settings(max_examples=40)
@given(encoded())
def test_similarities_equal_the_definition(made: tuple[ClipEmbeddings, Embeddings]) -> None:
    found, wanted = similarities(*made), slow_similarities(*made)
    assert {name for name in COSINES if name in found} == set(wanted)
    for name, pairs in wanted.items():
        values, groups = zip(*pairs, strict=True)
        assert found[name] == pytest.approx(np.mean(values), abs=1e-6)
        if name in ("same_video", "temporal_consistency"):
            interval = group_interval(values, groups)
            assert found[f"{name}_low"] == pytest.approx(interval.low, abs=1e-6)
            assert found[f"{name}_high"] == pytest.approx(interval.high, abs=1e-6)
    assert {"effective_rank", "spread"} <= set(found)


def test_the_mean_is_not_taken_off() -> None:
    """Far from the origin all cosines are near 1."""
    x_VKD = 100 + np.random.default_rng(0).normal(size=(6, 4, 8))
    found = similarities(*packed(x_VKD, np.tile([0, 9, 18, 27], (6, 1)), list("aabbab")))
    assert all(found[name] > 0.99 for name in COSINES)


@pytest.mark.parametrize("value", [0.1, 123.456])
def test_a_collapsed_encoder_has_similarities_of_1_and_rank_1(value: float) -> None:
    found = similarities(*packed(np.full((6, 4, 8), value), np.tile([0, 9, 18, 27], (6, 1)), list("aabbab")))
    assert [found[name] for name in COSINES] == pytest.approx([1] * 4)
    assert found["effective_rank"] == pytest.approx(1)
    assert found["spread"] == pytest.approx(0, abs=1e-6)


def test_two_views_are_more_alike_than_two_clips() -> None:
    """As in the paper: 0.9995 against 0.9223."""
    rng = np.random.default_rng(0)
    x_VKD = rng.normal(size=(20, 1, 16)) + 0.3 * rng.normal(size=(20, 10, 16))
    found = similarities(*packed(x_VKD, np.tile(np.arange(10) * 5, (20, 1))))
    assert found["same_video"] > found["temporal_consistency"] + 0.02


def test_nothing_to_compare_leaves_only_rank_and_spread() -> None:
    for start in ([[0]], [[3, 3, 3]]):
        x_VKD = np.ones((1, len(start[0]), 4))
        assert set(similarities(*packed(x_VKD, np.array(start)))) == {"effective_rank", "spread"}
    several_of_one_group = packed(np.ones((4, 1, 4)), np.zeros((4, 1), int), ["a", "a", "b", "b"], ["g"] * 4)
    assert set(similarities(*several_of_one_group)) == {"effective_rank", "spread"}


def scaled(w: World, factor: float) -> World:
    return World(w.features, ClipEmbeddings(factor * w.targets.x_ND, w.targets.video, w.targets.start), w.videos)


def persistence(w: World) -> Forecaster:
    """Forecasts the target of the context, as it is."""
    target_of = {tuple(clip): x_P for clip, x_P in zip(w.features.x_ND.tolist(), w.targets.x_ND, strict=True)}

    def forecast(features_KD: Floats, context_N: Ints, gap_N: Ints) -> Floats:
        return np.stack([target_of[tuple(clip)] for clip in features_KD[context_N].tolist()])

    return forecast


@pytest.mark.parametrize("clips", [6, MOST_CLIPS + 5])
def test_forecasting_error_equals_the_definition(clips: int) -> None:
    w = world(n_videos=6, groups=4, clips=clips)
    found = forecasting_error(w.features, w.targets, w.videos, persistence(w), SPAN)
    errors, groups, train = [], [], []
    for v, name in enumerate(w.videos.video):
        rows = np.flatnonzero(w.targets.video == name)
        if clips > MOST_CLIPS:  # evenly spaced
            rows = rows[[i for i in range(clips) if i * MOST_CLIPS // clips > (i - 1) * MOST_CLIPS // clips]]
        x, start = w.targets.x_ND[rows].astype(np.float64), w.targets.start[rows]
        if w.videos.split[v] == "train":
            train.append(x)
            continue
        for i, j in combinations(range(len(rows)), 2):
            if start[j] - start[i] >= SPAN:
                errors.append(np.mean((x[i] - x[j]) ** 2))
                groups.append(w.videos.group[v])
    mean, low, high = group_interval(errors, groups)
    variance = np.concatenate(train).var(axis=0).mean()
    ends = ("", "_low", "_high")
    assert [found[f"forecasting_error{end}"] for end in ends] == pytest.approx([mean, low, high], rel=1e-5)
    wanted = [mean / variance, low / variance, high / variance]
    assert [found[f"forecasting_error_relative{end}"] for end in ends] == pytest.approx(wanted, rel=1e-5)


def test_only_the_relative_error_is_independent_of_scale() -> None:
    small = world()
    large = scaled(small, 10)
    of_small, of_large = (
        forecasting_error(w.features, w.targets, w.videos, persistence(w), SPAN) for w in (small, large)
    )
    assert of_large["forecasting_error"] == pytest.approx(100 * of_small["forecasting_error"], rel=1e-4)
    assert of_large["forecasting_error_relative"] == pytest.approx(of_small["forecasting_error_relative"], rel=1e-4)


def test_always_forecasting_the_mean_has_relative_error_1() -> None:
    w = world(n_videos=400, groups=100, drift=0.0)
    mean_P = w.targets.x_ND.mean(axis=0)
    found = forecasting_error(w.features, w.targets, w.videos, lambda x, at, gap: np.tile(mean_P, (len(at), 1)), SPAN)
    assert found["forecasting_error_relative"] == pytest.approx(1, abs=0.15)


def test_without_training_videos_all_clips_give_the_variance() -> None:
    w = world()
    w.videos.split[:] = "test"
    found = forecasting_error(w.features, w.targets, w.videos, persistence(w), SPAN)
    variance = w.targets.x_ND.var(axis=0).mean()
    assert found["forecasting_error"] / found["forecasting_error_relative"] == pytest.approx(variance, rel=1e-4)


def test_equal_targets_have_no_relative_error_and_short_videos_none() -> None:
    w = world()
    w.targets.x_ND[:] = 0.1
    assert forecasting_error(w.features, w.targets, w.videos, persistence(w), SPAN)["forecasting_error"] == 0
    assert "forecasting_error_relative" not in forecasting_error(w.features, w.targets, w.videos, persistence(w), SPAN)
    short = world(clips=1)
    assert forecasting_error(short.features, short.targets, short.videos, persistence(short), SPAN) == {}


def test_examples_are_found_by_name_on_either_side_of_the_split() -> None:
    rng = np.random.default_rng(0)
    x_VKD, start_VK = 0.5 + rng.normal(size=(5, 4, 8)), np.tile([0, 9, 18, 27], (5, 1))
    names = ["a/x.avi", PAPERS[2], PAPERS[0], "a/y.avi", PAPERS[1]]
    split = ["train", "test", "train", "test", "test"]
    found = paper_examples(*packed(x_VKD, start_VK, split=split, names=names))
    x = x_VKD[2]
    wanted = {
        "same_video": cosine(x[0] + x[2], x[1] + x[3]),
        "temporal_consistency": np.mean([cosine(a, b) for a, b in pairwise(x)]),
        "same_class": cosine(x.sum(axis=0), x_VKD[4].sum(axis=0)),
        "different_class": cosine(x.sum(axis=0), x_VKD[1].sum(axis=0)),
    }
    assert found == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("missing", PAPERS)
def test_examples_are_absent_unless_all_are_there(missing: str) -> None:
    names = [name for name in PAPERS if name != missing] + ["YoYo/v_YoYo_g19_c02b.avi"]
    assert paper_examples(*packed(np.ones((3, 2, 4)), np.tile([0, 9], (3, 1)), names=names)) == {}


def test_examples_of_one_clip_have_no_measures_over_time() -> None:
    found = paper_examples(*packed(np.ones((3, 1, 4)), np.zeros((3, 1), int), names=PAPERS))
    assert found == pytest.approx({"same_class": 1, "different_class": 1})


@pytest.mark.parametrize(
    ("source", "videos", "answer"),
    [
        ("ucf101", ["anything.avi"], True),
        ("folder", PAPERS, True),
        ("folder", ["v_HandstandPushups_g01_c01.mp4"], True),
        ("folder", [*PAPERS, "YoYo/mine.avi"], False),
        ("folder", ["v_YoYo_g1_c02.avi"], False),
        ("folder", ["v_YoYo_g19_c02_copy.avi"], False),
        ("demo", PAPERS, False),
    ],
)
def test_ucf101_is_known_by_its_source_or_by_all_names(source: str, videos: list[str], answer: bool) -> None:
    assert is_ucf101(source, videos) == answer
