"""Training samples: the future is later in the same video, and draws do not depend on the loader."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from mofore.config import Augment, Params
from mofore.packed import PackedVideos
from mofore.pairs import Epochs, Pair, Pairs, pair_loader

Packer = Callable[..., Path]
PLAIN = Augment(crop_min=1.0, flip=0.0, jitter=0.0, grayscale=0.0)


def make(folder: Path, params: Params, augment: Augment) -> Pairs:
    params.clip.frames, params.clip.stride, params.clip.size, params.clip.input = 3, 2, 16, "residual"
    params.forecast.gap_min, params.forecast.gap_max = 1, 9
    return Pairs(PackedVideos(folder), params.clip, params.forecast, augment, params.seed)


def test_the_future_follows_the_context_by_the_gap(pack: Packer, params: Params) -> None:
    pairs = make(pack([40, 30, 15]), params, PLAIN)
    for epoch in range(20):
        for video in range(3):
            sample = pairs[epoch, video]
            levels = [clip[:, 8, 8, 0].astype(int) - 10 * video for clip in (sample.context_THWC, sample.future_THWC)]
            assert np.diff(levels[0]).tolist() == [2, 2, 2]
            assert np.diff(levels[1]).tolist() == [2, 2, 2]
            assert levels[1][0] - levels[0][-1] - 1 == sample.gap
            assert 1 <= sample.gap <= 9


def test_groups_are_told_apart(pack: Packer, params: Params) -> None:
    pairs = make(pack([20] * 6), params, PLAIN)
    groups = [int(pairs[0, v].group) for v in range(6)]
    assert [groups[0] == groups[1], groups[1] == groups[2], groups[2] == groups[3]] == [True, False, True]


def test_samples_are_the_same_for_any_number_of_processes(pack: Packer, params: Params) -> None:
    pairs = make(pack([20] * 6, texture=True), params, params.augment)
    batches = Epochs(6, 2, epochs=2, seed=1)

    def run(workers: int) -> list[Pair]:
        return list(pair_loader(pairs, batches, workers, pin=False))

    alone, many = run(0), run(2)
    assert len(alone) == len(many) == 6
    for a, b in zip(alone, many, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_context_and_future_are_augmented_apart(pack: Packer, params: Params) -> None:
    sample = make(pack([20], texture=True), params, params.augment)[0, 0]
    assert not np.allclose(sample.context_colour_34, sample.future_colour_34)


def test_an_epoch_takes_each_video_once() -> None:
    batches = Epochs(n_videos=10, batch_size=3, epochs=4, seed=0)
    drawn = list(batches)
    assert len(drawn) == len(batches) == 12
    orders = []
    for epoch in range(4):
        keys = [key for batch in drawn[3 * epoch : 3 * epoch + 3] for key in batch]
        assert {e for e, _ in keys} == {epoch}
        videos = [v for _, v in keys]
        assert len(set(videos)) == 9
        orders.append(tuple(videos))
    assert len(set(orders)) == 4, "each epoch has its own order"
    assert drawn == list(Epochs(n_videos=10, batch_size=3, epochs=4, seed=0))
