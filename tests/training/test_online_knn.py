"""The online kNN score equals a slow reference, and computing it does not change the training."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from mofore.config import Params
from mofore.frames.store import FrameStore
from mofore.method.encoders import build_encoder
from mofore.training.online_knn import OnlineKnn, nearest_of_another_group

Packer = Callable[..., Path]
CPU = torch.device("cpu")


@pytest.fixture
def short(params: Params) -> Params:
    params.clip.frames, params.clip.stride, params.clip.size, params.clip.input = 4, 1, 16, "rgb"
    return params


def labelled(folder: Path, label: list[str], group: list[str] | None = None) -> FrameStore:
    table = pd.read_csv(folder / "videos.csv")
    table["label"] = label
    table["group"] = group or table["group"]
    table.to_csv(folder / "videos.csv", index=False)
    return FrameStore(folder)


class Direction(nn.Module):
    """Maps a clip's mean gray level to a direction: similar levels give similar directions."""

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        angle_B = x_BCTHW.mean(dim=(1, 2, 3, 4)) / 3
        return 5 * torch.stack([angle_B.cos(), angle_B.sin()], dim=1)


def slow_accuracy(x: np.ndarray, label: list[str], group: list[str]) -> float:
    hits = 0
    for i in range(len(x)):
        cosine = {
            j: float(x[i] @ x[j]) / math.sqrt(float(x[i] @ x[i])) / math.sqrt(float(x[j] @ x[j]))
            for j in range(len(x))
            if group[j] != group[i]
        }
        hits += label[max(cosine, key=lambda j: cosine[j])] == label[i]
    return hits / len(x)


@given(sizes=st.lists(st.integers(1, 4), min_size=2, max_size=6), classes=st.integers(1, 4), seed=st.integers(0, 1000))
def test_the_score_equals_the_definition(sizes: list[int], classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    group = [f"g{number}" for number, size in enumerate(sizes) for _ in range(size)]  # some have a single member
    group = [group[i] for i in rng.permutation(len(group))]
    label = [f"class{number}" for number in rng.integers(classes, size=len(group))]
    x = rng.normal(size=(len(group), 5)).astype(np.float32)
    found = nearest_of_another_group(x, np.array(label), np.array(group))
    assert found == pytest.approx(slow_accuracy(x, label, group))


def test_neighbours_of_the_same_group_do_not_count() -> None:
    x = np.array([[1, 0], [1, 0], [0.9, 0.1], [0, 1]], np.float32)
    label = np.array(["a", "a", "b", "a"])
    assert nearest_of_another_group(x, label, np.array(["g", "g", "h", "i"])) == 0
    assert nearest_of_another_group(x, label, np.array(["f", "g", "h", "i"])) == 0.5


def test_known_videos_get_the_known_score(pack: Packer, short: Params) -> None:
    # Mean levels are 2, 12, 25, 32, 43, 52. The first two are nearest to each other. So are the next two, but they
    # differ in class. The last two are of the same group, so the nearest to both is the fourth.
    folder = pack([5, 5, 11, 5, 7, 5])
    videos = labelled(folder, ["a", "a", "a", "b", "c", "c"], ["g0", "g1", "g2", "g3", "g4", "g4"])
    assert OnlineKnn(videos, short).score(Direction(), CPU) == pytest.approx(2 / 6)


def test_videos_without_a_label_are_left_out(pack: Packer, short: Params) -> None:
    knn = OnlineKnn(labelled(pack([9] * 5), ["a", "", "b", "", "a"]), short)
    assert knn.label.tolist() == ["a", "b", "a"]
    assert knn.group.tolist() == ["g0", "g1", "g2"]
    assert len(knn.samples) == 3
    assert [knn.samples[video][0, 0, 0, 0, 0] for video in range(3)] == [0, 20, 40]


def test_a_random_sample_of_many_videos_is_used(pack: Packer, short: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mofore.training.online_knn.MAX_VIDEOS", 5)
    folder = pack([9] * 14)

    def drawn(seed: int) -> list[int]:
        short.seed = seed
        knn = OnlineKnn(labelled(folder, [f"c{v}" for v in range(13)] + [""]), short)
        assert [knn.samples[i][0, 0, 0, 0, 0] for i in range(5)] == [min(10 * int(c[1:]), 150) for c in knn.label]
        return [int(c[1:]) for c in knn.label]

    assert len(set(drawn(1))) == 5
    assert drawn(1) == drawn(1)
    assert len({tuple(drawn(seed)) for seed in range(4)}) > 1


@pytest.mark.parametrize(
    ("label", "group", "possible"),
    [
        (["a", "a", "b"], ["g", "h", "h"], True),
        (["a", "a", "a"], ["g", "h", "h"], False),
        (["a", "a", "b"], ["g", "g", "g"], False),
        (["a", "a", ""], ["g", "h", "h"], False),
        (["", "", ""], ["g", "h", "h"], False),
    ],
)
def test_two_classes_and_two_groups_are_needed(
    pack: Packer, short: Params, label: list[str], group: list[str], possible: bool
) -> None:
    assert OnlineKnn(labelled(pack([9] * 3), label, group), short).possible == possible


@pytest.mark.parametrize("training", [True, False])
def test_the_encoder_is_not_changed(pack: Packer, short: Params, training: bool) -> None:
    encoder = build_encoder("small", 0).train(training)
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    random = torch.get_rng_state()
    knn = OnlineKnn(FrameStore(pack([9] * 4, texture=True)), short)
    first = knn.score(encoder, CPU)
    assert all(module.training == training for module in encoder.modules())
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())
    assert all(weights.grad is None for weights in encoder.parameters())
    assert torch.equal(torch.get_rng_state(), random)
    assert knn.score(encoder.train(not training), CPU) == first, "the score does not depend on the mode"
