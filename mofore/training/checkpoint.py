"""Saves and loads checkpoints of a stage: `.scratch/STAGE/KEY/last.pt`.

The key is a hash of all dependencies of the stage. So a run never resumes from a checkpoint that was written with other
parameters, code or videos. Checkpoints are written atomically, because a run may be killed at any time. They are not
outputs of DVC, which would delete them, or restore older ones, before a run.
"""

import io
import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
import yaml
from pathspec import GitIgnoreSpec

from mofore.config import Params
from mofore.errors import UserError, no_space
from mofore.runtime.distributed import Processes
from mofore.utils.files import writing
from mofore.utils.progress import tell
from mofore.utils.scratch import folder_until_done, poll, scratch

# Files are hashed in blocks. Of a pack only the first block is hashed: the index has the lengths of its frames.
BLOCK_BYTES = 1 << 20
MAX_SHARE = 0.02  # saving takes at most this fraction of the run


class Checkpoint:
    """The checkpoint file of a run; it holds the last saved state."""

    def __init__(self, folder: Path, every: float) -> None:
        """`every`: interval between two checkpoints, in seconds; longer if saving takes more than MAX_SHARE of it."""
        self.file, self.every = folder / "last.pt", every
        self.saved_at, self.took = time.monotonic(), 0.0
        self.step = 0  # step of the last saved state

    def load(self, device: torch.device) -> dict[str, Any] | None:
        """Load the last saved state, with its tensors on `device`; None if there is none.

        Raises:
            UserError: the file is damaged.
        """
        if not self.file.exists():
            return None
        try:
            state: dict[str, Any] = torch.load(self.file, map_location=device, weights_only=True)
            self.step = state["step"]
        except Exception:  # for a damaged file torch.load raises many types of exceptions
            raise UserError(f"{self.file}: damaged: delete it to start from the beginning") from None
        return state

    def due(self) -> bool:
        """Whether the interval since the last checkpoint has passed."""
        return time.monotonic() - self.saved_at >= max(self.every, self.took / MAX_SHARE)

    def save(self, state: dict[str, Any]) -> bool:
        """Replace the checkpoint atomically; returns whether it was saved.

        On a full disk this prints a warning, keeps the previous checkpoint and returns False.

        Args:
            state: has the key `step`; holds tensors, numbers, strings, and lists and dicts of them.
        """
        began = time.monotonic()
        buffer = io.BytesIO()
        torch.save(state, buffer)
        part = self.file.with_suffix(".part")
        try:
            with writing(part) as file:
                file.write(buffer.getbuffer())
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, self.file)
        except OSError as error:
            if not no_space(error):
                raise
            part.unlink(missing_ok=True)
            tell(f"warning: no space left on the device writing {self.file}: {self.describe()}; free some space")
            return False
        finally:
            self.saved_at = time.monotonic()
            self.took = self.saved_at - began
        self.step = state["step"]
        return True

    def describe(self) -> str:
        """The step from which a run would resume, for messages."""
        return f"the last checkpoint is from step {self.step}" if self.step else "there is no checkpoint yet"


@contextmanager
def checkpoint(stage: str, params: Params, processes: Processes) -> Iterator[Checkpoint]:
    """Lock and yield the checkpoint of a stage of `dvc.yaml`; delete it if the block ends without an error.

    If another run of the same stage with the same parameters is in progress, wait for it. Its last checkpoint is then
    the whole result, unless it was stopped. Write the results of the stage within the block. Rank 0 saves; the other
    ranks only load, from a shared file system.
    """
    # Rank 0 decides for all: on another node, DVC_ROOT may be missing or name another path.
    folder = processes.from_main(lambda: scratch(stage) / stage_key(stage, params))
    doing = f"running stage {stage} with the same parameters"

    def between() -> None:
        poll()
        processes.any(True)

    with ExitStack() as held:
        if processes.is_main:
            held.enter_context(folder_until_done(folder, doing, between))
        while processes.any(False):  # the others wait for rank 0, with a call for each of its calls of `between`
            pass
        yield Checkpoint(folder, params.runtime.checkpoint)
        processes.any(False)  # all ranks have loaded it before rank 0 deletes it


def stage_key(stage: str, params: Params, file: Path = Path("dvc.yaml")) -> str:
    """Hash of all dependencies of a stage in `dvc.yaml`: its sections of params.yaml, its code and its data."""
    spec = yaml.safe_load(file.read_text())["stages"][stage]
    values = asdict(params)
    key = blake2b(json.dumps({name: values[name] for name in spec["params"]}).encode(), digest_size=12)
    for dep in spec["deps"]:
        for path in _dep_files(Path(dep)):
            key.update(f"{path.as_posix()} {path.stat().st_size}\0".encode())
            with path.open("rb") as opened:
                while block := opened.read(BLOCK_BYTES):
                    key.update(block)
                    if path.name.startswith("pack-"):
                        break
    return key.hexdigest()


def _dep_files(dep: Path) -> list[Path]:
    """The files of a dep in dvc.yaml, without those that match `.dvcignore` (such as bytecode and caches).

    DVC ignores the same files. So the key changes when DVC would run the stage again.
    """
    if not dep.is_dir():
        return [dep]
    ignore_file = Path(".dvcignore")
    ignored = GitIgnoreSpec.from_lines(ignore_file.read_text().splitlines() if ignore_file.exists() else [])
    return [path for path in sorted(dep.rglob("*")) if path.is_file() and not ignored.match_file(path.as_posix())]
