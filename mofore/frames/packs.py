"""Finished packs of an extraction that may be killed at any time: `.scratch/extract_frames/<key>/`.

A pack counts as finished when its sidecar is there, which says what became of its videos; both appear in one piece.
The key stands for all that the bytes depend on, so what is found under it is right.
"""

import importlib.metadata
import json
import os
from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path

from mofore.frames.outcome import Outcome
from mofore.frames.watchdog import write_pack
from mofore.utils.files import writing
from mofore.utils.scratch import keyed_folder, scratch

CODE = ["container.py", "decode.py", "outcome.py", "packs.py", "watchdog.py"]  # that make the bytes


@dataclass(frozen=True)
class Pack:
    """One pack to be made, complete in itself: it may be sent to another machine that shares the file system.

    Attributes:
        target: the file; its sidecar stands beside it.
        files: absolute paths of its videos.
        short_side, quality, stall: see `write_pack`.
    """

    target: Path
    files: list[Path]
    short_side: int
    quality: int
    stall: float

    def make(self) -> None:
        """Write pack and sidecar, unless they are there.

        Raises:
            OSError: they cannot be written; carries the name.
        """
        if self.target.exists() and _sidecar(self.target).exists():
            return
        part = self.target.with_suffix(f".{os.uname().nodename}-{os.getpid()}.part")  # an orphan may still be at it
        found = write_pack(part, self.files, self.short_side, self.quality, self.stall)
        os.replace(part, self.target)
        with writing(part) as file:
            file.write(json.dumps([{**asdict(one), "lengths": one.lengths.tolist()} for one in found]).encode())
        os.replace(part, _sidecar(self.target))


def read_sidecar(pack: Path) -> list[Outcome]:
    """What became of each video of a finished pack."""
    return [
        Outcome(**{**one, "lengths": array("i", one["lengths"])}) for one in json.loads(_sidecar(pack).read_bytes())
    ]


def _sidecar(pack: Path) -> Path:
    return pack.with_suffix(".json")


def scratch_key(files: Iterable[Path], *more: object) -> str:
    """A hash of the videos (name, size and time of change), the decoders, their code, and `more`."""
    key = blake2b(repr(more).encode(), digest_size=12)
    for name in ("opencv-python-headless", "opencv-python", "av"):
        with suppress(importlib.metadata.PackageNotFoundError):
            key.update(f"{name} {importlib.metadata.version(name)}".encode())
    for code in CODE:
        key.update(Path(__file__).with_name(code).read_bytes())
    for file in files:
        try:
            status = file.stat()
            key.update(f"{file}\0{status.st_size} {status.st_mtime_ns}\0".encode())
        except OSError as error:
            key.update(f"{file}\0{error.strerror}\0".encode())
    return key.hexdigest()


@contextmanager
def scratch_folder(key: str) -> Iterator[Path]:
    """Hold the folder for a key; delete it if all goes well. Those of other keys go if no run works on them.

    Raises:
        UserError: another run works on this key.
        OSError: the folder cannot be made; carries its name.
    """
    with keyed_folder(scratch("extract_frames"), key, "extracting the same videos") as folder:
        for part in folder.glob("*.part"):
            part.unlink()
        yield folder
