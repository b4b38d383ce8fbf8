"""Silhouette, NMI, ARI, uniformity and alignment: slow references, scikit-learn, and spaces of known structure."""

import math
from collections import Counter
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
import sklearn.metrics
import torch
from hypothesis import given
from hypothesis import strategies as st

from mofore.embedding import geometry
from mofore.embedding.store import ClipEmbeddings, Embeddings
from mofore.evaluation import structure as structure_module
from mofore.evaluation.bootstrap import group_interval
from mofore.evaluation.structure import clip_alignment, evaluate_structure

CLASSES, GROUPS, MEMBERS, DIM = 6, 4, 5, 24  # GROUPS of each class, MEMBERS (videos) of each group


def embeddings(x_ND: np.ndarray, label: Sequence[object], group: Sequence[object]) -> Embeddings:
    name = np.array([f"v{i}" for i in range(len(x_ND))])
    labels, groups = (np.array([str(word) for word in words]) for words in (label, group))
    return Embeddings(x_ND.astype(np.float32), name, labels, groups, np.full(len(x_ND), "test"))


def space(of_class: float, of_scene: float, noise: float = 0.3) -> Embeddings:
    """Embeddings that encode the class, the scene, both or neither, by the given weights. A group has one class."""
    rng = np.random.default_rng(0)
    label = np.repeat(np.arange(CLASSES), GROUPS * MEMBERS)
    group = np.repeat(np.arange(CLASSES * GROUPS), MEMBERS)
    x = of_class * rng.normal(size=(CLASSES, DIM))[label] + of_scene * rng.normal(size=(CLASSES * GROUPS, DIM))[group]
    return embeddings(x + noise * rng.normal(size=x.shape), label.tolist(), group.tolist())


def slow_silhouettes(x_ND: np.ndarray, name: Sequence[str]) -> list[float]:
    def distance(i: int, j: int) -> float:
        return 1 - float(x_ND[i] @ x_ND[j]) / math.sqrt(float(x_ND[i] @ x_ND[i]) * float(x_ND[j] @ x_ND[j]))

    found = []
    for i in range(len(x_ND)):
        to = {other: [distance(i, j) for j in range(len(x_ND)) if name[j] == other and j != i] for other in set(name)}
        own = to.pop(name[i])
        if not own:
            found.append(0.0)
            continue
        a, b = sum(own) / len(own), min(sum(others) / len(others) for others in to.values())
        found.append((b - a) / max(a, b) if max(a, b) > 1e-9 else 0.0)
    return found


def slow_nmi(a: Sequence[object], b: Sequence[object]) -> float:
    def entropy(names: Sequence[object]) -> float:
        return -sum(n / len(names) * math.log(n / len(names)) for n in Counter(names).values())

    both = entropy(list(zip(a, b, strict=True)))
    mean = (entropy(a) + entropy(b)) / 2
    return (entropy(a) + entropy(b) - both) / mean if mean else 1.0


def slow_ari(a: Sequence[object], b: Sequence[object]) -> float:
    pairs = list(combinations(range(len(a)), 2))
    same_a, same_b = ([names[i] == names[j] for i, j in pairs] for names in (a, b))
    agree = sum(in_a and in_b for in_a, in_b in zip(same_a, same_b, strict=True))
    expected = sum(same_a) * sum(same_b) / len(pairs)
    most = (sum(same_a) + sum(same_b)) / 2
    return (agree - expected) / (most - expected) if most != expected else 1.0


def clusters_instead(patch: pytest.MonkeyPatch, cluster: np.ndarray) -> None:
    """Replace k-means by one that always returns these clusters."""

    class Found:
        def __init__(self, *args: object, **options: object) -> None:
            pass

        def fit_predict(self, x_ND: np.ndarray) -> np.ndarray:
            return cluster

    patch.setattr(structure_module, "KMeans", Found)


@pytest.mark.slow
@given(
    seed=st.integers(0, 999),
    label=st.lists(st.sampled_from("aaabbcd"), min_size=4, max_size=14),
    ties=st.booleans(),
)
def test_scores_by_class_equal_the_definitions_and_scikit_learn(seed: int, label: list[str], ties: bool) -> None:
    rng = np.random.default_rng(seed)
    x = rng.integers(1, 3, size=(len(label), 2)) if ties else rng.normal(size=(len(label), 3))
    x = x.astype(np.float32).astype(np.float64)
    cluster = rng.integers(3, size=len(label))
    videos = embeddings(x, label, range(len(label)))
    with pytest.MonkeyPatch.context() as patch:
        clusters_instead(patch, cluster)
        scores = evaluate_structure(videos, seed=0)
    if not 2 <= len(set(label)) < len(label):
        assert not any("class" in name for name in scores)
        return
    slow = slow_silhouettes(x, label)
    known = sklearn.metrics.silhouette_samples(x, label, metric="cosine")
    assert slow == pytest.approx(known.tolist(), abs=1e-6)
    mean, low, high = group_interval(slow, videos.group)
    got = [scores[f"silhouette_class{end}"] for end in ("", "_low", "_high")]
    assert got == pytest.approx([mean, low, high], abs=1e-4)
    nmi, ari = slow_nmi(label, cluster.tolist()), slow_ari(label, cluster.tolist())
    assert nmi == pytest.approx(sklearn.metrics.normalized_mutual_info_score(label, cluster), abs=1e-9)
    assert ari == pytest.approx(sklearn.metrics.adjusted_rand_score(label, cluster), abs=1e-9)
    assert (scores["nmi_class"], scores["ari_class"]) == pytest.approx((nmi, ari), abs=1e-9)


def test_scores_by_group_are_means_over_classes_by_their_videos() -> None:
    rng = np.random.default_rng(0)
    label = ["a"] * 9 + ["b"] * 5 + [""] * 4 + ["c"] * 3 + ["d"] * 2  # c has one group; all groups of d have one video
    group = [*"pppqqqrrr", *"ppqqs", *"pptt", *"uuu", *"vw"]
    x = rng.normal(size=(len(label), 4)).astype(np.float32)
    scores = evaluate_structure(embeddings(x, label, group), seed=0)
    silhouettes = []
    for start, end in ((0, 9), (9, 14), (14, 18)):
        silhouettes += slow_silhouettes(x[start:end].astype(np.float64), group[start:end])
    assert scores["silhouette_group"] == pytest.approx(np.mean(silhouettes), abs=1e-5)

    parts = [evaluate_structure(embeddings(x[s:e], label[s:e], group[s:e]), 0) for s, e in ((0, 9), (9, 14), (14, 18))]
    for name in ("nmi_group", "ari_group", "silhouette_group"):
        mean = np.average([part[name] for part in parts], weights=[9, 5, 4])
        assert scores[name] == pytest.approx(mean, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("groups_across_classes", [False, True])
def test_class_and_scene_are_distinguished(groups_across_classes: bool) -> None:
    by = {
        "class": space(of_class=1, of_scene=0),
        "scene": space(of_class=0, of_scene=1),
        "both": space(of_class=1, of_scene=1),
        "neither": space(of_class=0, of_scene=0),
    }
    if groups_across_classes:  # as with actors who each perform every class
        for videos in by.values():
            videos.group = np.array([str(int(group) % GROUPS) for group in videos.group])
    scores = {name: evaluate_structure(videos, seed=0) for name, videos in by.items()}
    assert scores["class"]["silhouette_class"] > 0.6
    assert scores["class"]["ari_class"] > 0.8
    assert scores["class"]["silhouette_group"] < 0
    assert abs(scores["class"]["ari_group"]) < 0.1
    assert scores["scene"]["silhouette_class"] < 0.15
    assert scores["scene"]["ari_class"] < 0.35
    assert scores["scene"]["silhouette_group"] > 0.6
    assert scores["scene"]["ari_group"] > 0.8
    assert min(scores["both"][f"silhouette_{of}"] for of in ("class", "group")) > 0.25
    assert max(scores["neither"][f"silhouette_{of}"] for of in ("class", "group")) < 0
    assert max(abs(scores["neither"][f"ari_{of}"]) for of in ("class", "group")) < 0.1
    for of in ("class", "group"):
        assert scores[of if of == "class" else "scene"][f"nmi_{of}"] > scores["neither"][f"nmi_{of}"] + 0.3


@pytest.mark.parametrize("seed", range(3))
def test_permuted_labels_score_at_chance(seed: int) -> None:
    rng = np.random.default_rng(seed)
    videos = space(of_class=1, of_scene=1)
    true = evaluate_structure(videos, seed=0)
    videos.label = rng.permutation(videos.label)
    videos.group = rng.permutation(videos.group)
    permuted = evaluate_structure(videos, seed=0)
    assert min(true["ari_class"], true["ari_group"]) > 0.5
    assert abs(permuted["ari_class"]) < 0.06
    assert abs(permuted["ari_group"]) < 0.1
    assert max(permuted["silhouette_class_high"], permuted["silhouette_group_high"]) < 0.02
    chance = [
        slow_nmi(videos.label.tolist(), rng.integers(CLASSES, size=len(videos.label)).tolist()) for _ in range(50)
    ]
    assert permuted["nmi_class"] < max(chance) + 0.03


@pytest.mark.slow
def test_scale_of_embeddings_does_not_matter_and_the_seed_repeats() -> None:
    videos = space(of_class=1, of_scene=1)
    first = evaluate_structure(videos, seed=1)
    assert evaluate_structure(videos, seed=1) == first
    assert evaluate_structure(videos, seed=2) != first
    length = np.random.default_rng(0).uniform(0.1, 10, size=(len(videos.x_ND), 1))
    videos.x_ND = (videos.x_ND * length).astype(np.float32)
    scaled = evaluate_structure(videos, seed=1)
    names = [name for name in first if name != "effective_rank"]
    assert [scaled[name] for name in names] == pytest.approx([first[name] for name in names], abs=1e-3)


@pytest.mark.parametrize(
    ("label", "group", "absent"),
    [
        ("aaaabbbb", "ppqqrrss", set()),
        ("aaaaaaaa", "ppqqrrss", {"class"}),
        ("aabbccdd", "ppqqrrss", {"group"}),  # one group a class
        ("aaaabbbb", "pqrstuvw", {"group"}),  # all groups of one video
        ("abcdefgh", "ppqqrrss", {"class", "group"}),
        ("        ", "ppqqrrss", {"class"}),  # unlabelled
        ("   abbbb", "pqrstuvw", {"group"}),
        ("a", "p", {"class", "group"}),
    ],
)
def test_scores_without_a_partition_are_absent(label: str, group: str, absent: set[str]) -> None:
    x = np.random.default_rng(0).normal(size=(len(label), 4))
    scores = evaluate_structure(embeddings(x, [name.strip() for name in label], [*group]), seed=0)
    for of in ("class", "group"):
        names = {f"silhouette_{of}", f"silhouette_{of}_low", f"silhouette_{of}_high", f"nmi_{of}", f"ari_{of}"}
        assert names & set(scores) == (set() if of in absent else names)
    assert ("uniformity" in scores) == (len(label) > 1)
    assert all(math.isfinite(score) for score in scores.values())


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [0.0, 0.1])
def test_collapsed_embeddings_have_no_structure(value: float) -> None:
    videos = space(of_class=1, of_scene=1)
    videos.x_ND = np.full_like(videos.x_ND, value)
    scores = evaluate_structure(videos, seed=0)
    for of in ("class", "group"):
        assert scores[f"silhouette_{of}"] == pytest.approx(0, abs=0.3)  # all distances are rounding errors
        assert scores[f"silhouette_{of}"] <= 0
        assert scores[f"nmi_{of}"] == pytest.approx(0)
        assert scores[f"ari_{of}"] == pytest.approx(0)
    assert scores["effective_rank"] == pytest.approx(1)


def test_uniformity_is_that_of_all_pairs() -> None:
    for scale in (0.0, 0.3, 3.0):
        x = (1 + scale * np.random.default_rng(0).normal(size=(50, 8))).astype(np.float32)
        got = evaluate_structure(embeddings(x, [""] * 50, range(50)), 0)["uniformity"]
        distance = torch.pdist(torch.nn.functional.normalize(torch.from_numpy(x), dim=1))
        assert got == pytest.approx(distance.square().mul(-2).exp().mean().log().item(), abs=1e-4)


def test_uniformity_of_many_videos_is_that_of_a_subset(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).normal(size=(600, 8)).astype(np.float32)
    videos = embeddings(x, [""] * 600, range(600))
    whole = evaluate_structure(videos, seed=0)["uniformity"]
    monkeypatch.setattr(geometry, "MAX_PAIRED", 200)
    some = [evaluate_structure(videos, seed)["uniformity"] for seed in (0, 1)]
    assert some[0] != some[1]
    assert some == pytest.approx([whole, whole], abs=0.1)


def test_alignment_is_the_mean_squared_distance_of_clips_that_do_not_overlap() -> None:
    rng = np.random.default_rng(0)
    span, start = 5, np.array([0, 4, 8, 12])
    x = rng.normal(size=(6, 4, 3)).astype(np.float32)
    videos = embeddings(x.mean(axis=1), [""] * 6, [*"ppqqrr"])
    videos.split = np.array(["train", "test"] * 3)
    clips = ClipEmbeddings(x.reshape(-1, 3), np.repeat(videos.video, 4), np.tile(start, 6))
    distances, groups = [], []
    for video in (1, 3, 5):
        for i, j in combinations(range(4), 2):
            if start[j] - start[i] >= span:
                a, b = (x[video, k].astype(np.float64) / np.linalg.norm(x[video, k]) for k in (i, j))
                distances.append(float(((a - b) ** 2).sum()))
                groups.append(videos.group[video])
    scores = clip_alignment(clips, videos, span)
    wanted = group_interval(distances, groups)
    assert list(scores) == ["alignment", "alignment_low", "alignment_high"]
    assert list(scores.values()) == pytest.approx(list(wanted), abs=1e-5)
    assert clip_alignment(clips, videos, span=20) == {}


def test_alignment_of_still_clips_is_zero() -> None:
    x = np.repeat(np.random.default_rng(0).normal(size=(4, 1, 3)), 3, axis=1).astype(np.float32)
    videos = embeddings(x.mean(axis=1), [""] * 4, range(4))
    clips = ClipEmbeddings(x.reshape(-1, 3), np.repeat(videos.video, 3), np.tile([0, 10, 20], 4))
    assert clip_alignment(clips, videos, span=5)["alignment"] == pytest.approx(0, abs=1e-6)
