"""The gaps that a training run really draws: capped by the room that each video has, so not those of params.yaml."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from mofore.clips.dataset import EpochSampler, ForecastDataset

DRAWS = 50_000  # at most, spread over the run: a share of 2 % is then known to 0.1 %
BARS = 60  # at most


def gaps_drawn(pairs: ForecastDataset, epochs: EpochSampler) -> npt.NDArray[np.int64]:
    """Gaps of the samples of a run, in video frames; of evenly spaced batches where there are very many.

    Nothing has to be recorded for this: each sample's draws come from (seed, epoch, video) alone.
    """
    batches = list(epochs)
    every = -(-len(batches) * epochs.batch_size // DRAWS)
    return np.concatenate([pairs.place(key)[1] for batch in batches[::every] for key in batch])


def share_of_gaps(gap_N: npt.NDArray[np.int64]) -> pd.DataFrame:
    """How often each gap was drawn: columns gap (video frames, middle of the bar) and share (0 to 1, sum 1)."""
    low, high = int(gap_N.min()), int(gap_N.max())
    width = -(-(high - low + 1) // BARS)  # whole gaps a bar
    bars = -(-(high - low + 1) // width)
    count, _ = np.histogram(gap_N, bins=bars, range=(low - 0.5, low - 0.5 + bars * width))
    return pd.DataFrame({"gap": low + (np.arange(bars) + 0.5) * width - 0.5, "share": count / len(gap_N)})
