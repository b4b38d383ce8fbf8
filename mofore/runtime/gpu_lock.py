"""Locks GPUs, so that parallel experiments on one machine (`dvc queue start -j N`) use different ones."""

import fcntl
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from mofore.utils.progress import tell

POLL_SECONDS = 1.0  # time between two attempts to lock a GPU


def lock_free_gpu(names: Sequence[str]) -> int:
    """Lock the first GPU that no other run of this user has locked; wait if all are locked.

    The lock is released when this process ends, even if it is killed.

    Args:
        names: a name for each GPU, the same in all processes; used in the names of the lock files.

    Returns:
        Index of the GPU in `names`.
    """
    announced = False
    while True:
        for index, name in enumerate(names):
            lock = Path(tempfile.gettempdir(), f"mofore-{os.getuid()}-{name}.lock")
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)  # never closed: that would release the lock
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
            else:
                return index
        if not announced:
            tell(f"all GPUs ({len(names)}) are in use by other runs of mofore: waiting for one to be free")
            announced = True
        time.sleep(POLL_SECONDS)
