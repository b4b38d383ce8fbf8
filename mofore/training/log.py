"""Collects the metrics of training steps and averages them into one log row per epoch.

Shapes: N forecasts of one or several steps, P projection dimensions.
"""

from collections import deque
from typing import Any, NamedTuple

import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from mofore.embedding.geometry import alignment, effective_rank, spread, uniformity

HEALTH_SAMPLES = 1024  # number of embeddings for the collapse diagnostics: accurate enough, and fast


class StepLog(NamedTuple):
    """Metrics and embeddings of one training step, for the whole batch of all processes; detached from the graph."""

    scalars: dict[str, Tensor]  # by name; one of them is `loss`
    forecast_NP: Tensor
    target_NP: Tensor


class TrainingLog:
    """Scalars of the steps of the current epoch, and the most recent embeddings."""

    def __init__(self, batch_size: int) -> None:
        self.steps = 0
        self.sums: dict[str, Tensor] = {}  # of the scalars of these steps
        self.last_loss = torch.zeros(())
        self.last: deque[tuple[Tensor, Tensor]] = deque(maxlen=max(1, HEALTH_SAMPLES // batch_size))

    def add(self, step: StepLog) -> None:
        """Add one step. Tensors stay on the device, which avoids a device sync."""
        self.sums = {name: value.float() + self.sums.get(name, 0) for name, value in step.scalars.items()}
        self.last_loss = step.scalars["loss"]
        self.steps += 1
        self.last.append((step.forecast_NP, step.target_NP))

    @property
    def loss(self) -> float:
        """Loss of the last step; 0 at the start of an epoch."""
        return float(self.last_loss) if self.steps else 0.0

    @property
    def samples(self) -> int:
        """Number of embeddings that `health` measures."""
        return sum(len(target_NP) for _, target_NP in self.last)

    def health(self) -> dict[str, float]:
        """Collapse diagnostics of the most recent embeddings, computed on the CPU."""
        forecast_NP, target_NP = (torch.cat(parts).float().cpu().numpy() for parts in zip(*self.last, strict=True))
        with threadpool_limits(1, user_api="blas"):  # more BLAS threads would compete with loader workers for cores
            return {
                "effective_rank": effective_rank(target_NP),
                "spread": spread(target_NP),
                "alignment": alignment(forecast_NP, target_NP),
                "uniformity": uniformity(target_NP),
            }

    def end_epoch(self) -> dict[str, float]:
        """Return the mean scalars of the epoch and the current `health`, and start the next epoch."""
        means = {name: float(total / self.steps) for name, total in self.sums.items()}
        self.steps, self.sums = 0, {}
        return means | self.health()

    def state(self) -> dict[str, Any]:
        """State to be saved in a checkpoint."""
        return {
            "steps": self.steps,
            "sums": self.sums,
            "last_loss": self.last_loss,
            "last": [list(pair) for pair in self.last],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restore the state from a checkpoint."""
        self.steps, self.sums, self.last_loss = state["steps"], state["sums"], state["last_loss"]
        self.last.extend((forecast_NP, target_NP) for forecast_NP, target_NP in state["last"])
