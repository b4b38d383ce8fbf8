"""Temporal stability: slow references, embeddings of known stability, and collapsed embeddings."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mofore.embedding.store import ClipEmbeddings, Embeddings
from mofore.evaluation import bootstrap as bootstrap_module
from mofore.evaluation.bootstrap import group_interval
from mofore.evaluation.temporal import TemporalScores, evaluate_temporal

SPAN, STEP, CLIPS = 5, 4, 6


def packed(
    x_VKD: np.ndarray, label: np.ndarray, group: np.ndarray, split: np.ndarray, step: int = STEP
) -> tuple[ClipEmbeddings, Embeddings]:
    """Clip and video embeddings in the format that the stage reads, with a clip every `step` frames."""
    videos, clips, dim = x_VKD.shape
    name = np.array([f"v{i}" for i in range(videos)])
    start = np.tile(np.arange(clips) * step, videos)
    rows = ClipEmbeddings(x_VKD.reshape(-1, dim).astype(np.float32), np.repeat(name, clips), start)
    return rows, Embeddings(x_VKD.mean(axis=1).astype(np.float32), name, label.astype(str), group.astype(str), split)


def made(drift: float, n_videos: int = 40, dim: int = 16) -> tuple[ClipEmbeddings, Embeddings]:
    """Each video is a random walk with steps of `drift` a clip. Videos are unlabelled, each in a group of its own."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n_videos, 1, dim)) + drift * np.cumsum(rng.normal(size=(n_videos, CLIPS, dim)), axis=1)
    split = np.array(["test" if i % 4 == 0 else "train" for i in range(n_videos)])
    return packed(x, np.full(n_videos, ""), np.arange(n_videos), split)


def labelled(seed: int, n_videos: int, classes: int, groups: int, unlabelled: int) -> tuple[ClipEmbeddings, Embeddings]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n_videos, 1, 5)) + rng.normal(size=(n_videos, CLIPS, 5))
    label = rng.integers(classes, size=n_videos).astype(str)
    label[:unlabelled] = ""
    return packed(x, label, rng.permutation(np.arange(n_videos) % groups), np.full(n_videos, "test"))


def slow_similarities(clips: ClipEmbeddings, videos: Embeddings) -> dict[str, list[tuple[float, str, str]]]:
    """For each kind of pair, the similarity and the two groups of each pair, in plain loops."""
    x = clips.x_ND.astype(np.float64) - clips.x_ND.astype(np.float64).mean(axis=0)
    rows = list(range(len(x)))
    found: dict[str, list[tuple[float, str, str]]] = {}
    for i, j in combinations(rows, 2):
        a, b = i // CLIPS, j // CLIPS
        pair = (float(x[i] @ x[j] / np.linalg.norm(x[i]) / np.linalg.norm(x[j])), videos.group[a], videos.group[b])
        if a == b and clips.start[j] - clips.start[i] >= SPAN:
            found.setdefault("same_video", []).append(pair)
        if videos.group[a] != videos.group[b]:
            found.setdefault("other_videos", []).append(pair)
            if len(set(videos.label) - {""}) > 1 and videos.label[a] and videos.label[b]:
                kind = "same_class" if videos.label[a] == videos.label[b] else "other_class"
                found.setdefault(kind, []).append(pair)
    return found


@pytest.mark.slow
@given(
    seed=st.integers(0, 99),
    n_videos=st.integers(1, 7),
    classes=st.integers(1, 3),
    groups=st.integers(1, 4),
    unlabelled=st.integers(0, 7),
)
def test_mean_similarities_equal_the_definition(
    seed: int, n_videos: int, classes: int, groups: int, unlabelled: int
) -> None:
    clips, videos = labelled(seed, n_videos, classes, groups, min(unlabelled, n_videos))
    scores = evaluate_temporal(clips, videos, SPAN, bins=3).scores
    slow = {kind: [pair[0] for pair in pairs] for kind, pairs in slow_similarities(clips, videos).items()}
    kinds = {"same_video", "other_videos", "same_class", "other_class"}
    assert kinds & set(scores) == set(slow)
    assert {kind: scores[kind] for kind in slow} == pytest.approx({k: np.mean(v) for k, v in slow.items()}, abs=1e-5)
    assert ("margin" in scores) == ("other_videos" in slow)
    if "margin" in scores:
        margin = np.mean(slow["same_video"]) - np.mean(slow["other_videos"])
        assert scores["margin"] == pytest.approx(margin, abs=1e-5)
        deviation = max(float(np.std(slow["other_videos"])), 1e-3)
        assert scores["margin_in_sd"] == pytest.approx(margin / deviation, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize(("seed", "groups"), [(0, 2), (2, 3), (3, 5)])
def test_intervals_equal_a_slow_bootstrap_of_both_ends_of_a_pair(
    seed: int, groups: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap_module, "RESAMPLES", 40)
    clips, videos = labelled(seed, n_videos=9, classes=2, groups=groups, unlabelled=1)
    scores = evaluate_temporal(clips, videos, SPAN, bins=3).scores
    names = sorted(set(videos.group))
    assert len(names) == groups
    rng = np.random.default_rng(0)
    drawn = [dict(zip(names, rng.multinomial(groups, [1 / groups] * groups), strict=True)) for _ in range(40)]
    for kind, pairs in slow_similarities(clips, videos).items():
        means = []
        for times in drawn:
            weight = [times[a] if kind == "same_video" else times[a] * times[b] for _, a, b in pairs]
            if sum(weight):
                means.append(np.average([similarity for similarity, _, _ in pairs], weights=weight))
        low, high = np.quantile(means, (0.025, 0.975))
        assert scores[f"{kind}_low"] == pytest.approx(low, abs=1e-5)
        assert scores[f"{kind}_high"] == pytest.approx(high, abs=1e-5)


def test_blocks_of_resamples_do_not_change_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    clips, videos = labelled(4, n_videos=8, classes=2, groups=5, unlabelled=0)
    whole = evaluate_temporal(clips, videos, SPAN, bins=3).scores
    monkeypatch.setattr(bootstrap_module, "VALUES_PER_BLOCK", 600)
    assert evaluate_temporal(clips, videos, SPAN, bins=3).scores == pytest.approx(whole)


def test_still_embeddings_are_perfectly_stable() -> None:
    scores = evaluate_temporal(*made(drift=0.0), SPAN, bins=5).scores
    assert scores["same_video"] == pytest.approx(1, abs=1e-5)
    assert abs(scores["other_videos"]) < 0.15
    assert scores["margin"] == pytest.approx(scores["same_video"] - scores["other_videos"])
    assert scores["speed"] == pytest.approx(0, abs=0.02)


def test_drifting_embeddings_lose_similarity_with_the_gap() -> None:
    table = evaluate_temporal(*made(drift=0.5), SPAN, bins=5).similarity
    same = table[table.kind == "same video"].sort_values("gap")
    assert same.similarity.is_monotonic_decreasing
    assert same.similarity.iloc[0] > same.similarity.iloc[-1] + 0.1


def test_gaps_are_between_clips_that_do_not_overlap() -> None:
    table = evaluate_temporal(*made(drift=0.1), SPAN, bins=20).similarity
    gaps = sorted(table[table.kind == "same video"].gap)
    assert gaps == [d * STEP - SPAN for d in range(1, CLIPS) if d * STEP >= SPAN]


def test_one_gap_is_one_bin() -> None:
    clips, videos = made(drift=0.1)
    clips.start = np.tile([0, 1, 2, 3, 4, 5], 40)
    table = evaluate_temporal(clips, videos, SPAN, bins=10).similarity
    assert table.gap.tolist() == [0, 0]
    assert table.kind.tolist() == ["same video", "other videos"]


def test_bins_are_means_with_intervals_over_groups() -> None:
    clips, videos = labelled(5, n_videos=12, classes=2, groups=4, unlabelled=0)
    table = evaluate_temporal(clips, videos, SPAN, bins=1).similarity
    pairs = slow_similarities(clips, videos)["same_video"]
    wanted = group_interval([similarity for similarity, _, _ in pairs], [group for _, group, _ in pairs])
    assert table.iloc[0][["similarity", "low", "high"]].tolist() == pytest.approx(list(wanted), abs=1e-5)


def test_a_common_mean_is_subtracted() -> None:
    clips, videos = made(drift=0.3)
    original = evaluate_temporal(clips, videos, SPAN, 5).scores
    clips.x_ND = clips.x_ND + np.float32(100)
    shifted = evaluate_temporal(clips, videos, SPAN, 5).scores
    centred = ["same_video", "other_videos", "margin", "margin_in_sd", "speed"]
    assert [shifted[name] for name in centred] == pytest.approx([original[name] for name in centred], abs=1e-3)
    assert shifted["spread"] < 0.05 < original["spread"]
    assert shifted["effective_rank"] < original["effective_rank"]


def test_the_subtracted_mean_is_that_of_training_clips() -> None:
    clips, videos = made(drift=0.3)
    before = evaluate_temporal(clips, videos, SPAN, 5).scores
    test = np.repeat(videos.split == "test", CLIPS)
    clips.x_ND[test] += 5
    assert evaluate_temporal(clips, videos, SPAN, 5).scores["other_videos"] > before["other_videos"] + 0.5


@pytest.mark.parametrize(
    ("labels", "groups", "kinds"),
    [
        (["a", "a", "b", "b"], [0, 1, 2, 3], ["same video", "same class", "other class"]),
        (["", "a", "b", "b"], [0, 1, 2, 3], ["same video", "same class", "other class"]),
        (["a", "a", "b", "b"], [0, 0, 1, 1], ["same video", "other class"]),  # each class has one group
        (["a", "a", "b", "b"], [0, 0, 0, 0], ["same video"]),
        (["a", "a", "a", "a"], [0, 1, 2, 3], ["same video", "other videos"]),
        (["", "", "", ""], [0, 1, 2, 3], ["same video", "other videos"]),
    ],
)
def test_the_kinds_of_pairs_that_labels_and_groups_allow(
    labels: list[str], groups: list[int], kinds: list[str]
) -> None:
    x = np.random.default_rng(0).normal(size=(4, CLIPS, 8))
    found = evaluate_temporal(*packed(x, np.array(labels), np.array(groups), np.full(4, "test")), SPAN, 2)
    assert found.similarity.kind.unique().tolist() == kinds
    assert (found.similarity.kind.value_counts() == 2).all()
    for kind in kinds[1:]:
        rows = found.similarity[found.similarity.kind == kind]
        assert set(rows.similarity) == {found.scores[kind.replace(" ", "_")]}


def test_short_videos_have_no_same_video_scores() -> None:
    clips, videos = made(drift=0.1)
    clips.start[:] = 0
    found = evaluate_temporal(clips, videos, SPAN, 5)
    assert set(found.scores) == {
        *("other_videos", "other_videos_low", "other_videos_high", "effective_rank", "spread"),
    }
    assert found.similarity.columns.tolist() == ["kind", "gap", "similarity", "low", "high"]
    assert found.speed.columns.tolist() == ["position", "speed", "low", "high"]
    assert len(found.similarity) == len(found.speed) == 0


def test_one_clip_per_video_gives_no_scores_over_time() -> None:
    x = np.random.default_rng(0).normal(size=(8, 1, 4))
    found = evaluate_temporal(*packed(x, np.full(8, ""), np.arange(8), np.full(8, "train")), SPAN, 5)
    assert "same_video" not in found.scores
    assert "speed" not in found.scores
    assert "other_videos" in found.scores


class TestCollapse:
    """Each kind of collapse shows in at least one score."""

    def score(self, x_VKD: np.ndarray) -> dict[str, float]:
        videos = len(x_VKD)
        split = np.where(np.arange(videos) % 2, "test", "train")
        return evaluate_temporal(*packed(x_VKD, np.full(videos, ""), np.arange(videos), split), SPAN, 5).scores

    def healthy(self) -> np.ndarray:
        rng = np.random.default_rng(0)
        return rng.normal(size=(60, 1, 32)) + 0.7 * rng.normal(size=(60, CLIPS, 32))

    def test_a_healthy_encoder_has_high_scores(self) -> None:
        scores = self.score(self.healthy())
        assert scores["margin_in_sd"] > 2.5
        assert scores["effective_rank"] > 20
        assert scores["spread"] > 0.9

    @pytest.mark.parametrize("value", [0.0, 0.1, 123.456])
    def test_all_embeddings_equal(self, value: float) -> None:
        scores = self.score(np.full((60, CLIPS, 32), value))
        assert scores["same_video"] == pytest.approx(0, abs=0.2)
        assert scores["margin"] == pytest.approx(0, abs=1e-6)
        assert scores["margin_in_sd"] == pytest.approx(0, abs=1e-3)
        assert scores["effective_rank"] == pytest.approx(1)
        assert scores["spread"] == pytest.approx(0, abs=1e-6)

    def test_rounding_errors_of_equal_embeddings_are_no_stability(self) -> None:
        rng = np.random.default_rng(0)
        x = np.broadcast_to(1 + 1e-7 * rng.normal(size=(60, 1, 32)), (60, CLIPS, 32)).astype(np.float32)
        assert len(np.unique(x)) > 1
        assert self.score(x)["same_video"] < 0.2

    def test_a_narrow_cone_looks_stable_but_has_no_spread(self) -> None:
        scores = self.score(100 + 0.1 * np.broadcast_to(self.healthy()[:, :1], (60, CLIPS, 32)))
        assert scores["margin"] > 0.9
        assert scores["spread"] < 0.01
        assert scores["effective_rank"] < 1.2

    def test_few_directions_look_stable_but_have_a_low_margin_in_sd(self) -> None:
        rng = np.random.default_rng(0)
        line = rng.choice([-1, 1], size=(60, 1, 1)) * np.ones((1, CLIPS, 32)) + 0.01 * rng.normal(size=(60, CLIPS, 32))
        scores = self.score(line)
        assert scores["same_video"] > 0.9
        assert scores["margin"] > 0.8
        assert scores["margin_in_sd"] < 1.1
        assert scores["effective_rank"] < 2


def on_circle(degrees_VK: np.ndarray) -> np.ndarray:
    """Points on a circle, and the opposite points as further videos, so that the mean is 0."""
    angle = np.radians(np.concatenate([degrees_VK, degrees_VK + 180]))
    return np.stack([np.cos(angle), np.sin(angle)], axis=2)


def turning(degrees_VK: np.ndarray, step: int = STEP) -> TemporalScores:
    x = on_circle(degrees_VK)
    return evaluate_temporal(
        *packed(x, np.full(len(x), ""), np.arange(len(x)), np.full(len(x), "test"), step), SPAN, 10
    )


def test_a_steady_turn_has_its_speed() -> None:
    found = turning(np.array([[10.0], [50.0], [230.0]]) + 3 * STEP * np.arange(CLIPS))  # 3 degrees a frame
    assert found.scores["speed"] == pytest.approx(3, abs=1e-3)
    assert found.speed.speed.to_numpy() == pytest.approx(3, abs=1e-3)
    frames = (CLIPS - 1) * STEP + SPAN
    halfway = [(a + b + SPAN) / 2 / frames for a, b in pairwise(range(0, CLIPS * STEP, STEP))]
    assert found.speed.position.tolist() == pytest.approx(halfway)


def test_speed_is_per_frame_and_not_per_clip() -> None:
    degrees = np.array([[10.0], [50.0]]) + 12 * np.arange(CLIPS)
    assert turning(degrees, step=2).scores["speed"] == pytest.approx(6, abs=1e-3)
    assert turning(degrees, step=12).scores["speed"] == pytest.approx(1, abs=1e-3)


def test_a_turn_halfway_shows_where_it_is() -> None:
    found = turning(np.array([[10.0], [50.0]]) + np.array([0, 0, 0, 40, 40, 40]))
    assert found.speed.speed.tolist() == pytest.approx([0, 0, 10, 0, 0], abs=1e-3)
    assert found.speed.position[2] == pytest.approx(0.5)


def test_clips_that_coincide_have_no_speed() -> None:
    clips, videos = made(drift=0.3)
    clips.start = np.tile([0, 0, 4, 4, 8, 8], 40)
    clips.x_ND[1::2] = clips.x_ND[::2]
    found = evaluate_temporal(clips, videos, SPAN, 10)
    assert len(found.speed) == 2
    assert (found.speed.speed > 0).all()
