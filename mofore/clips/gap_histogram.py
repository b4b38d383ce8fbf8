"""Histogram of the gaps that a training run samples.

It differs from the distribution in params.yaml, because each gap is limited by the length of the video.

Shapes: N gaps.
"""

from itertools import islice

import numpy as np
import numpy.typing as npt
import pandas as pd

from mofore.clips.dataset import EpochSampler, ForecastDataset

MAX_DRAWS = 50_000  # samples in the histogram; the standard error of a share of 2 % is then below 0.1 percentage points
MAX_BARS = 60


def sampled_gaps(samples: ForecastDataset, sampler: EpochSampler) -> npt.NDArray[np.int64]:
    """Gaps of the samples of a run in video frames, [N]; of every k-th batch if there are more than MAX_DRAWS samples.

    The gaps are drawn again, not recorded in training: all draws follow from (seed, epoch, video).
    """
    every = -(-len(sampler) * sampler.batch_size // MAX_DRAWS)
    batches = islice(sampler, 0, None, every)  # one at a time: those of a long run on many videos take gigabytes
    return np.concatenate([samples.positions(key)[1] for batch in batches for key in batch])


def gap_shares(gap_N: npt.NDArray[np.int64]) -> pd.DataFrame:
    """Histogram of gaps: columns gap (video frames, centre of the bar) and share (0 to 1, sums to 1)."""
    low, high = int(gap_N.min()), int(gap_N.max())
    width = -(-(high - low + 1) // MAX_BARS)  # a whole number of gaps per bar
    bars = -(-(high - low + 1) // width)
    count, _ = np.histogram(gap_N, bins=bars, range=(low - 0.5, low - 0.5 + bars * width))
    return pd.DataFrame({"gap": low + (np.arange(bars) + 0.5) * width - 0.5, "share": count / len(gap_N)})
