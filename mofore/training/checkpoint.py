"""Checkpoints of work that may be stopped or killed at any time: `.scratch/STAGE/KEY/last.pt`.

The key stands for all that the stage depends on, so a changed parameter, file of code or video never goes on from an
old run. A checkpoint appears in one piece or not at all. Nothing of this is DVC's: DVC would delete it, or restore an
older one, before a run.
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

HEAD = 1 << 20  # bytes of each pack that are hashed; the index, hashed whole, knows the length of every frame in it


class Checkpoint:
    """The last state of a run, in a folder that belongs to it."""

    def __init__(self, folder: Path, every: float) -> None:
        """`every`: seconds between two checkpoints."""
        self.file, self.every = folder / "last.pt", every
        self.saved_at = time.monotonic()
        self.step = 0  # the last one saved

    def load(self, device: torch.device) -> dict[str, Any] | None:
        """The state saved last, its tensors on `device`; None if there is none.

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
        """Is it time for another one?"""
        return time.monotonic() - self.saved_at >= self.every

    def save(self, state: dict[str, Any]) -> bool:
        """Save tensors, numbers, strings, and lists and maps of them; among them `step`.

        A full disk is told, but does not end the run: the checkpoint before stays as it is. Returns False then.
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
            tell(f"warning: no space left on the device writing {self.file}: {self.left()}; free some space")
            return False
        self.step = state["step"]
        return True

    def left(self) -> str:
        """What can be gone on from, in words."""
        return f"the last checkpoint is of step {self.step}" if self.step else "there is no checkpoint yet"


@contextmanager
def checkpoint(stage: str, params: Params, processes: Processes) -> Iterator[Checkpoint]:
    """Hold the checkpoint of a stage of `dvc.yaml`; delete it if all goes well, that is after the results are written.

    The first of several processes saves; the others only load, from a file system that they share.

    Raises:
        UserError: another run of the same work is going on.
    """
    folder = scratch(stage) / stage_key(stage, params)
    with ExitStack() as held:
        with processes.together():
            if processes.is_main:
                held.enter_context(folder_until_done(folder, f"doing the same, stage {stage} with these params"))
        yield Checkpoint(folder, params.runtime.checkpoint)


def stage_key(stage: str, params: Params, file: Path = Path("dvc.yaml")) -> str:
    """Stands for all that a stage depends on by `dvc.yaml`: its sections of params, its code and its data."""
    described = yaml.safe_load(file.read_text())["stages"][stage]
    values = asdict(params)
    key = blake2b(json.dumps({name: values[name] for name in described["params"]}).encode(), digest_size=12)
    for dep in described["deps"]:
        for path in _dep_files(Path(dep)):
            key.update(f"{path.as_posix()} {path.stat().st_size}\0".encode())
            with path.open("rb") as opened:
                key.update(opened.read(HEAD if path.name.startswith("pack-") else -1))
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
