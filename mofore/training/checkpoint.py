"""Checkpoints of a stage that may be stopped or killed at any time: `.scratch/STAGE/KEY/last.pt`.

The key is a hash of all that the stage depends on. So after a change of a parameter, of code or of a video, a run never
resumes from an old checkpoint. Checkpoints are written atomically. They are no outputs of DVC, which would delete them,
or restore older ones, before a run.
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
from mofore.utils.scratch import folder_until_done, scratch

HASHED_BYTES = 1 << 20  # of each pack of frames; the index, hashed whole, has the length of every frame in it


class Checkpoint:
    """The file that holds the last saved state of a run."""

    def __init__(self, folder: Path, every: float) -> None:
        """`every`: seconds between two checkpoints."""
        self.file, self.every = folder / "last.pt", every
        self.saved_at = time.monotonic()
        self.step = 0  # of the last saved state

    def load(self, device: torch.device) -> dict[str, Any] | None:
        """The last saved state, with its tensors on `device`; None if there is none.

        Raises:
            UserError: it cannot be read.
        """
        if not self.file.exists():
            return None
        try:
            state: dict[str, Any] = torch.load(self.file, map_location=device, weights_only=True)
            self.step = state["step"]
        except Exception:  # torch.load raises whatever damaged bytes lead it to
            raise UserError(f"{self.file}: damaged: delete it, and the run starts from the beginning") from None
        return state

    def due(self) -> bool:
        """Is it time to save again?"""
        return time.monotonic() - self.saved_at >= self.every

    def save(self, state: dict[str, Any]) -> bool:
        """Save a state, which has `step` and holds tensors, numbers, strings, and lists and maps of them.

        On a full disk it warns, keeps the checkpoint before and returns False; the run continues.
        """
        image = io.BytesIO()
        torch.save(state, image)
        part = self.file.with_suffix(".part")
        self.saved_at = time.monotonic()
        try:
            with writing(part) as file:
                file.write(image.getbuffer())
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, self.file)
        except OSError as error:
            if not no_space(error):
                raise
            part.unlink(missing_ok=True)
            tell(f"warning: no space left on the device writing {self.file}: {self.describe()}; free some space")
            return False
        self.step = state["step"]
        return True

    def describe(self) -> str:
        """Which step a run would resume from, for messages."""
        return f"the last checkpoint is of step {self.step}" if self.step else "there is no checkpoint yet"


@contextmanager
def checkpoint(stage: str, params: Params, processes: Processes) -> Iterator[Checkpoint]:
    """Hold the checkpoint of a stage of `dvc.yaml`, and delete it when the block ends well, its results written.

    Of several processes the first saves; the others only load, from a file system that they share.

    Raises:
        UserError: another process runs the same stage with the same parameters.
    """
    folder = scratch(stage) / stage_key(stage, params)
    with ExitStack() as held:
        with processes.exit_together():
            if processes.is_main:
                held.enter_context(folder_until_done(folder, f"running stage {stage} with the same parameters"))
        yield Checkpoint(folder, params.runtime.checkpoint)


def stage_key(stage: str, params: Params, file: Path = Path("dvc.yaml")) -> str:
    """A hash of all that a stage depends on by `dvc.yaml`: its sections of params, its code and its data."""
    described = yaml.safe_load(file.read_text())["stages"][stage]
    values = asdict(params)
    key = blake2b(json.dumps({name: values[name] for name in described["params"]}).encode(), digest_size=12)
    for dep in described["deps"]:
        for path in _dep_files(Path(dep)):
            key.update(f"{path.as_posix()} {path.stat().st_size}\0".encode())
            with path.open("rb") as opened:
                key.update(opened.read(HASHED_BYTES if path.name.startswith("pack-") else -1))
    return key.hexdigest()


def _dep_files(dep: Path) -> list[Path]:
    """The files that a dep of dvc.yaml stands for, without those that `.dvcignore` names (byte-code, caches).

    DVC ignores the same files, so the key changes exactly when DVC would run the stage again.
    """
    if not dep.is_dir():
        return [dep]
    ignore_file = Path(".dvcignore")
    ignored = GitIgnoreSpec.from_lines(ignore_file.read_text().splitlines() if ignore_file.exists() else [])
    return [path for path in sorted(dep.rglob("*")) if path.is_file() and not ignored.match_file(path.as_posix())]
