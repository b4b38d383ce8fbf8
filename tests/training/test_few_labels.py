"""Training on few labels: which videos each network is trained on, and that it classifies what it has learned."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from mofore.config import Params
from mofore.frames.store import FrameStore
from mofore.splits import draw_labelled
from mofore.training import few_labels
from mofore.training.supervised import train_on_labels
from tests.helpers.easy_classes import two_easy_classes

Packer = Callable[..., Path]
CPU = torch.device("cpu")

pytestmark = pytest.mark.usefixtures("one_thread")


def split(folder: Path) -> tuple[FrameStore, FrameStore]:
    return FrameStore(folder, split="train"), FrameStore(folder, split="test")


def test_each_draw_is_trained_on_its_videos_alone_for_as_many_steps(
    pack: Packer, tiny: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, test = split(pack([20] * 16, texture=True))
    tiny.supervised.epochs, tiny.supervised.few_draws, tiny.embed.clips = 1, 3, 2
    seen: list[tuple[int, list[str]]] = []

    def recorded(params: Params, videos: FrameStore, *rest: Any) -> Any:
        seen.append((params.seed, videos.table.video.tolist()))
        return train_on_labels(params, videos, *rest)

    monkeypatch.setattr(few_labels, "train_on_labels", recorded)
    found = few_labels.predictions(tiny, train, test, CPU)
    label, group = (train.table[name].to_numpy(str) for name in ("label", "group"))
    expected = [(labels, draw) for labels in (1, 2, 5) for draw in range(3)]
    assert list(found.groupby(["labels", "draw"], sort=False).groups) == expected
    for (labels, draw), (seed, videos) in zip(expected, seen, strict=True):
        rows = draw_labelled(label, group, labels, tiny.seed + draw)
        assert seed == tiny.seed + draw
        assert set(videos) == set(train.table.video.iloc[rows])
        assert len(videos) == len(train), "repeated, so that there are as many steps"
        counts = pd.Series(videos).value_counts()
        assert counts.max() - counts.min() <= 1


@pytest.mark.slow
def test_it_finds_the_class_of_videos_that_it_has_not_seen(pack: Packer, tiny: Params) -> None:
    folder = two_easy_classes(pack)
    train, test = split(folder)
    tiny.supervised.epochs, tiny.supervised.few_draws, tiny.pretrain.lr, tiny.embed.clips = 60, 1, 3e-3, 2
    found = few_labels.predictions(tiny, train, test, CPU)
    label_of = dict(zip(test.table.video, test.table.label, strict=True))
    most = found[found.labels == found.labels.max()]
    assert (most.predicted == most.video.map(label_of)).mean() > 0.8
