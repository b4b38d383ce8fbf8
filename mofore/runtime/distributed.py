"""One process or many, on one machine or several.

Many are started by torchrun (or whatever sets its environment variables); each works on its share of every batch, and
the loss is that of the whole batch in all of them. Lightning Fabric could do the same, but takes as long to import as
torch itself (2.6 s against 3.1 s on the 2 cores this was written on), in every run of the stages that use this.

Shapes: B rows of this process, N rows of all, anything behind.
"""

import os
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NoReturn, TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from mofore.errors import UserError
from mofore.runtime.sync_batchnorm import convert_sync_batchnorm
from mofore.utils.workers import worker_count

T = TypeVar("T")
EXIT_DELAY = 2.0  # seconds before a process ends because another one failed


@dataclass(frozen=True)
class Processes:
    """Those that work together.

    Attributes:
        rank: number of this one, from 0.
        count: how many there are.
        local_rank: number of this one on its machine, from 0.
        local_count: how many there are on this machine.
        launcher: process that has started this one.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    local_count: int = 1
    launcher: int = field(default_factory=os.getppid, compare=False)

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0

    def shard(self, rows: list[T]) -> list[T]:
        """This process's part of the rows, whose number is a multiple of the number of processes."""
        size = len(rows) // self.count
        return rows[self.rank * size : (self.rank + 1) * size]

    def gather(self, x_B: Tensor) -> Tensor:
        """The rows of all processes, in the order of `share`: [B, ...] to [N, ...].

        Gradients flow to the rows of this process only. That is enough: all processes compute the same loss, so each
        gets the gradient of the whole for its own rows, those where they stand as another's negatives included.
        DistributedDataParallel then averages over processes what should be summed: multiply the loss by `count`.
        """
        if self.count == 1:
            return x_B
        parts = [torch.empty_like(x_B, memory_format=torch.contiguous_format) for _ in range(self.count)]
        distributed.all_gather(parts, x_B.detach().contiguous())
        parts[self.rank] = x_B
        return torch.cat(parts)

    def any(self, yes: bool) -> bool:
        """Whether any process has `yes`. All call it at the same point; on the CPU, to avoid a device sync."""
        if self.count == 1:
            return yes
        said = torch.tensor(int(yes))
        distributed.all_reduce(said, distributed.ReduceOp.MAX)
        return bool(said)

    def collect(self, value: T) -> list[T]:
        """The values of all processes, in the order of their ranks; in the first process only, elsewhere empty."""
        if self.count == 1:
            return [value]
        values: list[T] = [value] * self.count
        distributed.gather_object(value, values if self.is_main else None)
        return values if self.is_main else []

    @property
    def launcher_gone(self) -> bool:
        """Whether the launcher has ended, killed for instance, so that nobody waits for its processes."""
        return self.count > 1 and os.getppid() != self.launcher

    @contextmanager
    def exit_together(self) -> Iterator[None]:
        """A UserError in one process ends all of them; only that process prints it."""
        error = None
        try:
            yield
        except UserError as met:
            error = met
        if self.any(error is not None):
            if error:
                raise error
            self.exit_silently()

    def exit_silently(self) -> NoReturn:
        """End this process without a message, because another one ends with an error and prints it."""
        time.sleep(EXIT_DELAY)  # a launcher ends all once one has ended: let the failing one print its message
        raise SystemExit(1)

    def replicate(self, networks: nn.Module, device: torch.device) -> nn.Module:
        """The networks, their gradients averaged over processes, their buffers those of the first process.

        Batch normalisation sees the whole batch, as with one process.
        """
        if self.count == 1:
            return networks
        if device.type == "cuda":
            nn.SyncBatchNorm.convert_sync_batchnorm(networks)
        else:
            convert_sync_batchnorm(networks)
        return DistributedDataParallel(networks, device_ids=[device.index] if device.type == "cuda" else None)


SINGLE = Processes()


def launch(launcher: str) -> None:
    """Start this script anew under `runtime.launcher`, unless there is none or it has been done.

    Args:
        launcher: "none", or a command to which the script is appended, such as "torchrun --nproc-per-node 4". In it
            $NAME stands for a variable of the environment.

    Raises:
        UserError: there is no such command.
    """
    if launcher == "none" or "WORLD_SIZE" in os.environ:
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # `joined` sets what is right; without it torchrun would warn
    try:
        words = shlex.split(os.path.expandvars(launcher))
        os.execvp(words[0], [*words, *sys.argv])
    except (OSError, IndexError, ValueError):  # ValueError: quotes that do not match
        raise UserError(
            f"params.yaml: runtime.launcher '{launcher}' cannot be started: use none, or a command like "
            "torchrun --nproc-per-node 2"
        ) from None


@contextmanager
def init_distributed() -> Iterator[Processes]:
    """Initialise torch.distributed if a launcher has started this process; else yield SINGLE.

    Processes of one machine share its cores.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield SINGLE
        return
    cuda = torch.cuda.is_available()
    distributed.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo")
    local_rank, local_count = (int(os.environ[name]) for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE"))
    torch.set_num_threads(max(1, worker_count(-1) // local_count))
    yield Processes(distributed.get_rank(), count, local_rank, local_count)
    distributed.destroy_process_group()
