"""The gap histogram shows the gaps of the training samples."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mofore.clips import gap_histogram as gaps
from mofore.clips.dataset import EpochSampler, ForecastDataset
from mofore.clips.gap_histogram import MAX_BARS, gap_shares, sampled_gaps
from mofore.config import Params
from mofore.frames.store import FrameStore

Packer = Callable[..., Path]


def test_sampled_gaps_are_those_of_the_training_samples(
    pack: Packer, tiny: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos = FrameStore(pack([14, 20, 11, 16, 30]))
    samples = ForecastDataset(videos, tiny.clip, tiny.forecast, tiny.augment, seed=3)
    epochs = EpochSampler(len(videos), batch_size=2, epochs=3, seed=3)
    drawn = [int(samples[key].gap_F[0]) for batch in epochs for key in batch]
    assert sampled_gaps(samples, epochs).tolist() == drawn
    assert len(drawn) == 3 * 4, "the fifth video does not fill a batch"
    monkeypatch.setattr(gaps, "MAX_DRAWS", 6)
    assert sampled_gaps(samples, epochs).tolist() == [drawn[i] for i in (0, 1, 4, 5, 8, 9)]


@given(st.lists(st.integers(0, 300), min_size=1, max_size=50))
def test_shares_sum_to_one_and_keep_the_mean(values: list[int]) -> None:
    table = gap_shares(np.array(values))
    assert len(table) <= MAX_BARS
    assert table.share.sum() == pytest.approx(1)
    width = table.gap.diff().iloc[1] if len(table) > 1 else 1
    assert (table.gap * table.share).sum() == pytest.approx(np.mean(values), abs=width / 2)
    if max(values) - min(values) < MAX_BARS:
        assert {int(gap): share for gap, share in table.values if share} == pytest.approx(
            {value: values.count(value) / len(values) for value in values}
        )
