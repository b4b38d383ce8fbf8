"""The log of a run: one row an epoch, made of what its steps leave behind.

Shapes: B batch, P projection dimensions, N embeddings, S steps.
"""

from collections import deque
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mofore.health import alignment, effective_rank, spread, uniformity

HEALTH_SAMPLES = 1024  # embeddings that the health measures look at: exact enough, and cheap
SCALARS = ("loss", "forecast_loss", "contrast_loss", "decorrelation_loss", "picked", "gap")


class Step(NamedTuple):
    """What one training step leaves behind, of the whole batch of all processes; nothing has a gradient."""

    scalars: Tensor  # in the order of SCALARS; picked: share of forecasts that picked their own future
    forecast_BP: Tensor
    target_BP: Tensor


class TrainingLog:
    """What the steps of the epoch under way have left, and the last embeddings."""

    def __init__(self, batch_size: int) -> None:
        self.scalars: list[Tensor] = []
        self.last: deque[tuple[Tensor, Tensor]] = deque(maxlen=max(1, HEALTH_SAMPLES // batch_size))

    def add(self, step: Step) -> None:
        self.scalars.append(step.scalars)
        self.last.append((step.forecast_BP, step.target_BP))

    @property
    def loss(self) -> float:
        """Of the last step; 0 at the start of an epoch."""
        return float(self.scalars[-1][0]) if self.scalars else 0.0

    @property
    def samples(self) -> int:
        """How many embeddings the health measures look at."""
        return sum(len(target_BP) for _, target_BP in self.last)

    def health(self) -> dict[str, float]:
        """Measures of the last steps' embeddings."""
        forecast_NP, target_NP = (torch.cat(parts).float() for parts in zip(*self.last, strict=True))
        return {
            "effective_rank": effective_rank(target_NP),
            "spread": spread(target_NP),
            "alignment": alignment(forecast_NP, target_NP),
            "uniformity": uniformity(target_NP),
        }

    def end_epoch(self) -> dict[str, float]:
        """Means over the steps of the epoch, and the health at its end. The next epoch begins."""
        means: list[float] = torch.stack(self.scalars).mean(dim=0).tolist()
        self.scalars = []
        return dict(zip(SCALARS, means, strict=True)) | self.health()

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"scalars": self.scalars, "last": [list(pair) for pair in self.last]}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.scalars = list(state["scalars"])
        self.last.extend((forecast_BP, target_BP) for forecast_BP, target_BP in state["last"])
