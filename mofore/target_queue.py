"""Targets of earlier batches, as further negatives of the contrastive loss: the queue of MoCo (He et al., 2020).

Shapes: N targets of the batch, Q in the queue, M = N + Q, P projection dimensions.
"""

import torch
from torch import Tensor


class TargetQueue:
    """The last targets and the numbers of their videos' groups, oldest first; the same in all processes."""

    def __init__(self, size: int, projection: int, device: torch.device) -> None:
        """`size`: how many targets are kept; 0: none, ever."""
        self.size = size
        self.target_QP = torch.empty(0, projection, device=device)
        self.group_Q = torch.empty(0, dtype=torch.int64, device=device)

    def behind(self, target_NP: Tensor, group_N: Tensor) -> tuple[Tensor, Tensor]:
        """The targets of a batch and behind them those kept, [M, P], and their groups, [M]."""
        return torch.cat([target_NP.float(), self.target_QP]), torch.cat([group_N, self.group_Q])

    def add(self, target_NP: Tensor, group_N: Tensor) -> None:
        """Keep the targets of a batch; the oldest make room."""
        if self.size:
            self.target_QP = torch.cat([self.target_QP, target_NP.float()])[-self.size :]
            self.group_Q = torch.cat([self.group_Q, group_N])[-self.size :]

    def state(self) -> dict[str, Tensor]:
        """For a checkpoint."""
        return {"target": self.target_QP, "group": self.group_Q}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from a checkpoint."""
        self.target_QP, self.group_Q = state["target"], state["group"]
