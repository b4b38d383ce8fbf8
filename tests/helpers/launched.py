"""Runs a function in several distributed processes, set up as a launcher (torchrun) would do it."""

import multiprocessing
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from mofore.runtime.distributed import init_distributed

FORKED = multiprocessing.get_context("forkserver")  # torch is imported once for all of them
FORKED.set_forkserver_preload(["mofore.training.pretrain"])


def run_distributed(count: int, folder: Path, work: Callable[..., Any], *args: Any) -> list[Any]:
    """Run `work(processes, *args)` in several processes of one process group.

    Args:
        count: number of processes (the world size).
        folder: created here; holds the results on their way back, and a file `RANK.ended` as old as a process's end.
        work: a function at the top level of a module.
        args: further arguments of `work`.

    Returns:
        What `work` returned, in the order of the ranks.
    """
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [
        FORKED.Process(target=_join_and_work, args=(rank, count, port, folder, work, args), daemon=True)
        for rank in range(count)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(300)
    assert [process.exitcode for process in processes] == [0] * count
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(count)]


def _join_and_work(
    rank: int, count: int, port: int, folder: Path, work: Callable[..., Any], args: tuple[Any, ...]
) -> None:
    launched = {"RANK": rank, "WORLD_SIZE": count, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": count}
    os.environ |= {name: str(value) for name, value in launched.items()}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    with init_distributed() as processes:
        torch.save(work(processes, *args), folder / f"{rank}.pt")
    (folder / f"{rank}.ended").touch()
