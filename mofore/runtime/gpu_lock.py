"""Parallel experiments (`dvc queue start -j N`) on one machine: each takes a GPU of its own."""

import fcntl
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from mofore.utils.progress import tell

POLL_SECONDS = 1.0  # between two tries to lock a GPU


def lock_free_gpu(names: Sequence[str]) -> int:
    """Lock the first GPU that no other run of this user holds, until this process ends; wait if all are taken.

    Args:
        names: what the GPUs are called, by number, by all processes alike.

    Returns:
        The GPU's number.
    """
    told = False
    while True:
        for number, name in enumerate(names):
            lock = Path(tempfile.gettempdir(), f"mofore-{os.getuid()}-{name}.lock")
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)  # stays open, so that the lock stays
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
            else:
                return number
        if not told:
            tell(f"all GPUs ({len(names)}) are in use by other runs of mofore: waiting for one to be free")
            told = True
        time.sleep(POLL_SECONDS)
