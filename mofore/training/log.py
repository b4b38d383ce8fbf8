"""The log of a run: one row an epoch, made from what its steps report.

Shapes: N forecasts of a step or of several, P projection dimensions.
"""

from collections import deque
from typing import Any, NamedTuple

import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from mofore.embedding.geometry import alignment, effective_rank, spread, uniformity

HEALTH_SAMPLES = 1024  # embeddings that `health` measures: exact enough, and cheap


class StepLog(NamedTuple):
    """What one training step reports, of the whole batch of all processes; nothing has a gradient."""

    scalars: dict[str, Tensor]  # `loss` among them
    forecast_NP: Tensor
    target_NP: Tensor


class TrainingLog:
    """What the steps of the current epoch reported, and the last embeddings."""

    def __init__(self, batch_size: int) -> None:
        self.scalars: list[dict[str, Tensor]] = []
        self.last: deque[tuple[Tensor, Tensor]] = deque(maxlen=max(1, HEALTH_SAMPLES // batch_size))

    def add(self, step: StepLog) -> None:
        """Add one step. Nothing is read from the device, so that a GPU need not wait."""
        self.scalars.append(step.scalars)
        self.last.append((step.forecast_NP, step.target_NP))

    @property
    def loss(self) -> float:
        """Of the last step; 0 at the start of an epoch."""
        return float(self.scalars[-1]["loss"]) if self.scalars else 0.0

    @property
    def samples(self) -> int:
        """How many embeddings `health` measures."""
        return sum(len(target_NP) for _, target_NP in self.last)

    def health(self) -> dict[str, float]:
        """Collapse diagnostics of the last steps' embeddings, on the CPU."""
        forecast_NP, target_NP = (torch.cat(parts).float().cpu().numpy() for parts in zip(*self.last, strict=True))
        with threadpool_limits(1, user_api="blas"):  # several BLAS threads would wait for cores that others use
            return {
                "effective_rank": effective_rank(target_NP),
                "spread": spread(target_NP),
                "alignment": alignment(forecast_NP, target_NP),
                "uniformity": uniformity(target_NP),
            }

    def end_epoch(self) -> dict[str, float]:
        """Means over the steps of the epoch, and `health` at its end. Then the next epoch begins."""
        by_step = [torch.stack(list(scalars.values())) for scalars in self.scalars]
        means: list[float] = torch.stack(by_step).mean(dim=0).tolist()
        names = list(self.scalars[0])
        self.scalars = []
        return dict(zip(names, means, strict=True)) | self.health()

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"scalars": self.scalars, "last": [list(pair) for pair in self.last]}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state from a checkpoint."""
        self.scalars = list(state["scalars"])
        self.last.extend((forecast_NP, target_NP) for forecast_NP, target_NP in state["last"])
