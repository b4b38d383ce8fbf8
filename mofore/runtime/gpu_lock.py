"""Locks GPUs, so that parallel experiments on one machine (`dvc queue start -j N`) use different ones."""

import fcntl
import os
import time
from functools import cache
from pathlib import Path

from mofore.errors import UserError
from mofore.utils.progress import tell

POLL_SECONDS = 1.0  # time between two attempts to lock a GPU


@cache
def lock_free_gpu(names: tuple[str, ...]) -> int:
    """Lock the first GPU that no other run of this user has locked; wait if all are locked.

    A process locks one GPU: further calls return the same. It is released when the process ends, even if it is killed.

    Args:
        names: a name for each GPU, the same in all processes; used in the names of the lock files.

    Returns:
        Index of the GPU in `names`.

    Raises:
        UserError: the folder of the lock files cannot be made.
    """
    folder, announced = _lock_folder(), False
    while True:
        for index, name in enumerate(names):
            # Never closed: that would release the lock.
            descriptor = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
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


def _lock_folder() -> Path:
    """The user's own folder for lock files: in a folder that all users share, others could take their names."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "mofore" / "gpus"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
        reason = "it is not writable"
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home folder
        reason = getattr(error, "strerror", None) or str(error)
    raise UserError(
        f"{folder}: no place for the locks of GPUs, {reason}: set the environment variable XDG_CACHE_HOME to a folder "
        "of your own, or params.yaml: runtime.device to cuda:0"
    )
