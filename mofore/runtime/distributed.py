"""Data-parallel processes, on one machine or several.

torchrun starts the processes, or any launcher that sets the same environment variables. Each process computes its shard
of every batch, and all compute the same loss of the whole batch. Lightning Fabric offers this too, but its import takes
almost as long as that of torch (2.6 s and 3.1 s, on 2 cores), in each run of a stage that uses this module.

Shapes: B rows of this process, N rows of all processes; further dimensions are arbitrary.
"""

import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NoReturn, TypeVar, cast

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from mofore.errors import UserError
from mofore.runtime.sync_batchnorm import convert_sync_batchnorm
from mofore.utils.progress import tell
from mofore.utils.workers import worker_count

T = TypeVar("T")
# How long a process waits for the others, which may be slow. One that exits is noticed at once; one whose node
# vanishes, only after this time.
COLLECTIVE_TIMEOUT = timedelta(hours=6)
SHUTDOWN_SECONDS = "300"  # from torchrun's signal to its kill; processes save in between
EXIT_DELAY = 2.0  # seconds that a process waits before it exits because another one has failed


@dataclass(frozen=True)
class Processes:
    """The processes of a run, as seen from one of them.

    Attributes:
        rank: index of this process, from 0.
        count: number of processes (world size).
        local_rank: index of this process on its machine, from 0.
        local_count: number of processes on this machine.
        launcher: process id of the parent, which has started this process.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    local_count: int = 1
    launcher: int = field(default_factory=os.getppid, compare=False)

    @property
    def is_main(self) -> bool:
        """Whether this process, of rank 0, writes files and prints."""
        return self.rank == 0

    def shard(self, rows: list[T]) -> list[T]:
        """This process's consecutive part of the rows; their number must be a multiple of `count`."""
        size = len(rows) // self.count
        return rows[self.rank * size : (self.rank + 1) * size]

    def gather(self, x_B: Tensor) -> Tensor:
        """All-gather the rows of all processes, in the order of ranks: [B, ...] -> [N, ...].

        Gradients flow to the rows of this process only. That is enough, because all processes compute the same loss of
        the whole batch: each process gets the full gradient for its own rows, also where they are negatives of other
        processes' rows. DistributedDataParallel then averages these parts of the gradient over processes, but they
        must be summed. So multiply the loss by `count` before `backward`.
        """
        if self.count == 1:
            return x_B
        parts = [torch.empty_like(x_B, memory_format=torch.contiguous_format) for _ in range(self.count)]
        distributed.all_gather(parts, x_B.detach().contiguous())
        parts[self.rank] = x_B
        return torch.cat(parts)

    def any(self, yes: bool) -> bool:
        """Logical or over all processes, which must all call this at the same point.

        The flag is reduced in CPU memory, to avoid a device sync.
        """
        if self.count == 1:
            return yes
        flag = torch.tensor(int(yes))
        distributed.all_reduce(flag, distributed.ReduceOp.MAX)
        return bool(flag)

    def collect(self, value: T) -> list[T]:
        """Gather picklable values on rank 0: the values in the order of ranks there, an empty list on other ranks."""
        if self.count == 1:
            return [value]
        values: list[T] = [value] * self.count
        distributed.gather_object(value, values if self.is_main else None)
        return values if self.is_main else []

    def from_main(self, make: Callable[[], T]) -> T:
        """What `make` returns on rank 0, which alone calls it; a picklable value."""
        if self.count == 1:
            return make()
        value = [make() if self.is_main else None]
        distributed.broadcast_object_list(value)
        return cast(T, value[0])

    @property
    def launcher_gone(self) -> bool:
        """Whether the launcher has ended, for instance because it was killed, and this process should stop."""
        return self.count > 1 and os.getppid() != self.launcher

    def exit_silently(self) -> NoReturn:
        """Exit without a message, because another process prints the error."""
        time.sleep(EXIT_DELAY)  # the launcher kills all processes once one has ended: let the other one print first
        raise SystemExit(1)

    def replicate(self, networks: nn.Module, device: torch.device) -> nn.Module:
        """Wrap the networks in DistributedDataParallel and synchronise their batch normalisation.

        Gradients are averaged over processes, and buffers are those of rank 0. Batch normalisation uses the statistics
        of the whole batch, as in a run with one process. On GPUs it is that of torch, which makes the host wait for the
        GPU once for each such layer of a forward pass, to leave out empty shares of a batch (PyTorch's issue 78549).
        A single process gets the networks back unchanged.
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
    """Replace this process by `launcher` running the same script, unless a launcher has started it already.

    Args:
        launcher: `runtime.launcher`: "none" to do nothing, or a command such as "torchrun --nproc-per-node 4". The
            script and its arguments are appended. Environment variables such as $NAME are expanded.

    Raises:
        UserError: the command does not exist or cannot be parsed.
    """
    if launcher == "none" or "WORLD_SIZE" in os.environ:
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # else torchrun warns; `init_distributed` sets threads
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", SHUTDOWN_SECONDS)  # 30 by default
    try:
        words = shlex.split(os.path.expandvars(launcher))
        os.execvp(words[0], [*words, *sys.argv])
    except (OSError, IndexError, ValueError):  # ValueError: unbalanced quotes
        raise UserError(
            f"params.yaml: runtime.launcher '{launcher}' cannot be started: use none, or a command like "
            "torchrun --nproc-per-node 2"
        ) from None


@contextmanager
def init_distributed() -> Iterator[Processes]:
    """Initialise torch.distributed if a launcher has started this process; otherwise yield SINGLE.

    Torch's threads are set to an equal share of the machine's cores for each of its processes. All processes end
    together: a launcher takes the end of those on its node for the end of all, and outputs for complete.

    Raises:
        UserError: another process was lost, for instance because its node failed. Raised in the first process of each
            node; the others exit without a message.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    cuda = torch.cuda.is_available()
    if count == 1:
        if "WORLD_SIZE" in os.environ:  # of a launcher, which sets OMP_NUM_THREADS to 1
            torch.set_num_threads(max(1, worker_count(-1)))
        _warn_of_few_cores(SINGLE, cuda)
        yield SINGLE
        return
    missing = [name for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE") if name not in os.environ]
    if missing:
        raise UserError(
            f"the environment has WORLD_SIZE={count}, but no {' and no '.join(missing)}: start processes with torchrun "
            "(params.yaml: runtime.launcher), or unset WORLD_SIZE for a single one"
        )
    distributed.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=COLLECTIVE_TIMEOUT)
    local_rank, local_count = (int(os.environ[name]) for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE"))
    torch.set_num_threads(max(1, worker_count(-1) // local_count))
    processes = Processes(distributed.get_rank(), count, local_rank, local_count)
    _warn_of_few_cores(processes, cuda)
    try:
        yield processes
        processes.any(False)
    except RuntimeError as error:
        if not _lost_peer(error):
            raise
        if local_rank:
            processes.exit_silently()
        said = str(error).strip().partition("\n")[0][:200]
        raise UserError(
            "another process of this run, here or on another node, has ended or cannot be reached: see what it says, "
            f"then run the same command again; pretraining resumes from its last checkpoint (torch: {said})"
        ) from None
    distributed.destroy_process_group()


def _warn_of_few_cores(processes: Processes, cuda: bool) -> None:
    """Warn if a process has one core to decode and to train, where more can be had: beside a GPU, and under SLURM."""
    slurm = "SLURM_JOB_ID" in os.environ
    if processes.local_rank == 0 and worker_count(-1) // processes.local_count < 2 and (cuda or slurm):
        more = " with --cpus-per-task, and export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK before srun" if slurm else ""
        tell(f"warning: each process has 1 core for decoding and training, which will be slow: give it more{more}")


def _lost_peer(error: RuntimeError) -> bool:
    """Whether the error means that another process is gone. NCCL has a type for that, Gloo only its own source file."""
    return isinstance(error, distributed.DistError) or "gloo/transport" in str(error)
