"""Memory bank: targets of earlier batches as additional negatives, as in the queue of MoCo (He et al., 2020).

Shapes: N targets of the batch, Q targets in the bank, M = N + Q candidates, P projection dimensions.
"""

import torch
from torch import Tensor


class MemoryBank:
    """The most recent targets and the group indices of their videos, oldest first; equal on all ranks."""

    def __init__(self, size: int, projection_dim: int, device: torch.device) -> None:
        """`size`: maximum number of targets; with 0 the bank stays empty."""
        self.size = size
        self.target_QP = torch.empty(0, projection_dim, device=device)
        self.group_Q = torch.empty(0, dtype=torch.int64, device=device)

    def candidates(self, target_NP: Tensor, group_N: Tensor) -> tuple[Tensor, Tensor]:
        """The targets of a batch followed by those in the bank, [M, P], and their groups, [M]."""
        return torch.cat([target_NP.float(), self.target_QP]), torch.cat([group_N, self.group_Q])

    def enqueue(self, target_NP: Tensor, group_N: Tensor) -> None:
        """Add the targets of a batch; drop the oldest if the bank is full."""
        if self.size:
            self.target_QP = torch.cat([self.target_QP, target_NP.float()])[-self.size :]
            self.group_Q = torch.cat([self.group_Q, group_N])[-self.size :]

    def state(self) -> dict[str, Tensor]:
        """State to be saved in a checkpoint."""
        return {"target": self.target_QP, "group": self.group_Q}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Restore the state from a checkpoint."""
        self.target_QP, self.group_Q = state["target"], state["group"]
