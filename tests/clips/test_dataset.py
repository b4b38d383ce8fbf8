"""Training samples: futures follow their context, and draws depend on seed, epoch and video only."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mofore.clips.augment import IDENTITY_34, eval_crop
from mofore.clips.dataset import EpochSampler, ForecastDataset, Sample
from mofore.config import Augment, Params
from mofore.frames.store import FrameStore
from mofore.runtime.distributed import Processes

Packer = Callable[..., Path]
NO_AUGMENT = Augment(crop_min=1.0, flip=0.0, jitter=0.0, grayscale=0.0, clean_target_prob=0.0)


def make(folder: Path, params: Params, augment: Augment, cache_bytes: float = 0) -> ForecastDataset:
    params.clip.frames, params.clip.stride, params.clip.size, params.clip.input = 3, 2, 16, "residual"
    params.forecast.gap_min, params.forecast.gap_max = 1, 9
    return ForecastDataset(FrameStore(folder), params.clip, params.forecast, augment, params.seed, cache_bytes)


@pytest.mark.parametrize("futures", [1, 3])
def test_each_future_follows_the_context_by_its_gap(pack: Packer, params: Params, futures: int) -> None:
    params.forecast.futures = futures
    samples = make(pack([40, 30, 15]), params, NO_AUGMENT)
    for epoch in range(20):
        for video in range(3):
            sample = samples[epoch, video]
            assert len(sample.future_FTHWC) == len(sample.gap_F) == futures
            context_T, *future_FT = (
                clip_THWC[:, 8, 8, 0].astype(int) - 10 * video
                for clip_THWC in (sample.context_THWC, *sample.future_FTHWC)
            )
            assert np.diff(context_T).tolist() == [2, 2, 2]
            for future_T, gap in zip(future_FT, sample.gap_F, strict=True):
                assert np.diff(future_T).tolist() == [2, 2, 2]
                assert future_T[0] - context_T[-1] - 1 == gap
                assert 1 <= gap <= 9


def test_samples_have_the_group_of_their_video(pack: Packer, params: Params) -> None:
    samples = make(pack([20] * 6), params, NO_AUGMENT)
    groups = [int(samples[0, v].group) for v in range(6)]
    assert [groups[0] == groups[1], groups[1] == groups[2], groups[4] == groups[5]] == [True, False, True]


def equal(a: Sample, b: Sample) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_a_sample_does_not_depend_on_earlier_draws(pack: Packer, params: Params) -> None:
    folder = pack([20] * 4, texture=True)
    keys = [(epoch, video) for epoch in range(3) for video in range(4)]
    samples = make(folder, params, params.augment)
    wanted = {key: samples[key] for key in keys}
    anew = make(folder, params, params.augment)
    assert all(equal(anew[key], wanted[key]) for key in reversed(keys))
    assert not equal(wanted[0, 0], wanted[1, 0])
    params.seed += 1
    assert not equal(make(folder, params, params.augment)[0, 0], wanted[0, 0])


def test_cached_frames_give_the_same_samples(pack: Packer, params: Params) -> None:
    folder = pack([40] * 3, texture=True)
    uncached, cached = (make(folder, params, params.augment, cache_bytes) for cache_bytes in (0, 1e9))
    assert all(equal(uncached[epoch, video], cached[epoch, video]) for epoch in range(10) for video in range(3))


def test_context_and_futures_are_augmented_independently(pack: Packer, params: Params) -> None:
    params.forecast.futures, params.augment.clean_target_prob = 2, 0
    sample = make(pack([20], texture=True), params, params.augment)[0, 0]
    assert not np.allclose(sample.context_colour_34, sample.future_colour_F34[0])
    assert not np.allclose(sample.future_colour_F34[0], sample.future_colour_F34[1])


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_futures_are_clean_with_the_given_probability(pack: Packer, params: Params, share: float) -> None:
    params.augment.clean_target_prob, params.forecast.futures = share, 2
    augmented, n_clean = (make(pack([20], texture=True), params, params.augment), 0)
    for epoch in range(200):
        sample, (context, gap_F, _) = augmented[epoch, 0], augmented.positions((epoch, 0))
        starts = context + augmented.span + gap_F
        clean_FTHWC = [
            eval_crop(augmented.reader.read(0, start + augmented.offsets), augmented.clip) for start in starts
        ]
        is_clean = [np.array_equal(colour_34, IDENTITY_34) for colour_34 in sample.future_colour_F34]
        assert is_clean[0] == is_clean[1]
        assert not is_clean[0] or np.array_equal(clean_FTHWC, sample.future_FTHWC)
        assert not np.array_equal(sample.context_colour_34, IDENTITY_34)
        n_clean += is_clean[0]
    assert n_clean / 200 == pytest.approx(share, abs=0.12)


def test_an_epoch_takes_each_video_once() -> None:
    batches = EpochSampler(n_videos=10, batch_size=3, epochs=4, seed=0)
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
    assert drawn == list(EpochSampler(n_videos=10, batch_size=3, epochs=4, seed=0))


@pytest.mark.parametrize("done", [0, 1, 2, 3, 7, 11, 12])
def test_a_resumed_run_gets_the_remaining_batches(done: int) -> None:
    left = EpochSampler(n_videos=10, batch_size=3, epochs=4, seed=0, first_step=done)
    assert list(left) == list(EpochSampler(n_videos=10, batch_size=3, epochs=4, seed=0))[done:]
    assert len(left) == 12 - done
    assert (left.steps, left.steps_per_epoch) == (12, 3)


@pytest.mark.parametrize("count", [2, 4])
def test_processes_share_each_batch(count: int) -> None:
    whole = list(EpochSampler(n_videos=10, batch_size=4, epochs=3, seed=0))
    shares = [EpochSampler(10, 4, epochs=3, seed=0, processes=Processes(rank, count, rank)) for rank in range(count)]
    for batch, parts in zip(whole, zip(*shares, strict=True), strict=True):
        assert {len(part) for part in parts} == {4 // count}
        assert [key for part in parts for key in part] == batch
