"""The state of a pretraining run, which checkpoints save and restore.

Random draws of samples follow from (seed, epoch, video), and schedules from the step. So a resumed run gives the same
results as an uninterrupted one: bit for bit on deterministic hardware such as CPUs.
"""

import time
from collections.abc import Iterator
from typing import Any

import torch

from mofore.clips.dataset import Sample
from mofore.config import Params
from mofore.runtime.distributed import Processes
from mofore.training.log import TrainingLog
from mofore.training.step import make_train_state


class TrainingRun:
    """Everything that changes from step to step. It can be saved and restored after any step."""

    def __init__(self, params: Params, device: torch.device, processes: Processes) -> None:
        self.params = params
        self.train_state = make_train_state(params, device, processes)
        self.log = TrainingLog(params.pretrain.batch_size)
        self.rows: list[dict[str, float]] = []  # of the log, one per epoch
        self.step = 0  # number of completed steps
        self.seconds = self.waited = 0.0  # duration of the run so far, and the part spent waiting for batches

    def state(self) -> dict[str, Any]:
        """State to be saved in a checkpoint."""
        return {
            "model": self.train_state.model.state_dict(),
            "optimizer": self.train_state.optimizer.state_dict(),
            "memory_bank": self.train_state.memory_bank.state(),
            "log": self.log.state(),
            "rows": self.rows,
            "step": self.step,
            "seconds": self.seconds,
            "waited": self.waited,
            "random": torch.get_rng_state(),  # of CPUs: GPUs draw nothing
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restore the state from a checkpoint."""
        self.train_state.model.load_state_dict(state["model"])
        self.train_state.optimizer.load_state_dict(state["optimizer"])
        self.train_state.memory_bank.restore(state["memory_bank"])
        self.log.restore(state["log"])
        self.rows, self.step = state["rows"], state["step"]
        self.seconds, self.waited = state["seconds"], state["waited"]
        torch.set_rng_state(state["random"].cpu())

    def timed(self, batches: Iterator[Sample]) -> Iterator[Sample]:
        """Yield the batches; add to `seconds` the time for each, and to `waited` the time spent waiting for it."""
        while True:
            requested = time.perf_counter()
            batch = next(batches, None)
            arrived = time.perf_counter()
            self.waited += arrived - requested
            if batch is None:
                return
            yield batch
            self.seconds += time.perf_counter() - requested


def clips_per_step(params: Params) -> int:
    """Clips that a step trains on: each context of the batch and its futures."""
    return (1 + params.forecast.futures) * params.pretrain.batch_size
