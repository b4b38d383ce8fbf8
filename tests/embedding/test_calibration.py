"""The untrained encoder: its weights are those of the seed, its statistics those of training clips."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mofore.clips.augment import to_input
from mofore.config import Params
from mofore.embedding import calibration
from mofore.embedding.calibration import untrained_encoder
from mofore.embedding.inference import UniformClips
from mofore.frames.store import FrameStore
from mofore.method.encoders import Encoder, TwoStream, build_encoder

Packer = Callable[..., Path]
CPU = torch.device("cpu")


@pytest.fixture
def short(params: Params) -> Params:
    params.clip.frames, params.clip.stride, params.clip.size = 4, 1, 16
    return params


@pytest.fixture
def videos(pack: Packer) -> FrameStore:
    return FrameStore(pack([12] * 8, texture=True))


def layers(encoder: Encoder | TwoStream) -> Any:
    """The layers of the network "small"."""
    return encoder.trunk


def first_layer(videos: FrameStore, params: Params, encoder: Encoder | TwoStream) -> Tensor:
    """What the first normalisation sees of all training clips, [channels, values]."""
    train = videos.select(np.flatnonzero(videos.table.split == "train"))
    samples = UniformClips(train, params.clip, calibration.CLIPS_PER_VIDEO)
    frames = torch.from_numpy(np.concatenate([samples[video] for video in range(len(train))]))
    with torch.no_grad():
        convolved: Tensor = layers(encoder)[0](to_input(frames, params.clip.input))
    return convolved.transpose(0, 1).flatten(1)


def test_statistics_are_those_of_the_training_clips(videos: FrameStore, short: Params) -> None:
    encoder = untrained_encoder(videos, short, CPU)
    seen = first_layer(videos, short, encoder)
    norm = layers(encoder)[1]
    torch.testing.assert_close(norm.running_mean, seen.mean(dim=1), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(norm.running_var, seen.var(dim=1), rtol=1e-2, atol=1e-4)


def test_weights_stay_those_of_the_seed_and_nothing_has_a_gradient(videos: FrameStore, short: Params) -> None:
    encoder, drawn = untrained_encoder(videos, short, CPU), build_encoder("small", short.seed)
    weights = zip(encoder.parameters(), drawn.parameters(), strict=True)
    assert all(torch.equal(kept, first) and kept.grad is None for kept, first in weights)
    assert not any(module.training for module in encoder.modules())
    momenta = [module.momentum for module in encoder.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    assert momenta == [0.1] * len(momenta)


def test_test_videos_are_not_looked_at(pack: Packer, short: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    videos = FrameStore(pack([12] * 8, texture=True))
    read: set[int] = set()
    original = UniformClips.__init__

    def spy(self: UniformClips, store: FrameStore, *rest: object) -> None:
        read.update(np.flatnonzero(videos.table.video.isin(store.table.video)).tolist())
        original(self, store, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(UniformClips, "__init__", spy)
    untrained_encoder(videos, short, CPU)
    assert read == set(np.flatnonzero(videos.table.split == "train").tolist())


def test_of_many_videos_a_sample_by_the_seed(
    videos: FrameStore, short: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "MAX_VIDEOS", 3)
    means = []
    for seed in (short.seed, short.seed, short.seed + 1):
        encoder = build_encoder("small", 0)
        short.seed = seed
        calibration.calibrate(encoder, videos, short, CPU)
        means.append(layers(encoder)[1].running_mean)
    assert torch.equal(means[0], means[1])
    assert not torch.equal(means[0], means[2])
