"""Make packs in `.scratch/extract_frames/<key>/`, so that an extraction that was killed resumes at the last full pack.

A pack is finished when its sidecar exists, a JSON file with the outcome of each of its videos. Both files are written
under another name and renamed, so they are never incomplete. The key is a hash of everything that the bytes of a pack
depend on, so a pack found under the key can be used as it is.
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

from mofore.config import Frames
from mofore.frames.outcome import Outcome
from mofore.frames.watchdog import write_pack
from mofore.utils.files import writing
from mofore.utils.scratch import keyed_folder, scratch


@dataclass(frozen=True)
class Pack:
    """A request to make one pack. It can be sent to another machine that shares the file system.

    Attributes:
        target: the file to write; its sidecar is written beside it.
        files: absolute paths of its videos.
        frames: size, quality and frame rate of the stored frames.
        timeout: seconds without a frame after which a video is given up.
    """

    target: Path
    files: list[Path]
    frames: Frames
    timeout: float

    def make(self) -> None:
        """Write the pack and its sidecar, unless both exist.

        Raises:
            OSError: a file cannot be written; the error has its name.
        """
        if self.target.exists() and _sidecar(self.target).exists():
            return
        # The name has machine and process, because a worker of a killed run may still write its own file.
        part = self.target.with_suffix(f".{os.uname().nodename}-{os.getpid()}.part")
        outcomes = write_pack(part, self.files, self.frames, self.timeout)
        os.replace(part, self.target)
        with writing(part) as file:
            file.write(json.dumps([{**asdict(one), "lengths": one.lengths.tolist()} for one in outcomes]).encode())
        os.replace(part, _sidecar(self.target))


def read_sidecar(pack: Path) -> list[Outcome]:
    """The outcome of each video of a finished pack."""
    return [
        Outcome(**{**one, "lengths": array("i", one["lengths"])}) for one in json.loads(_sidecar(pack).read_bytes())
    ]


def _sidecar(pack: Path) -> Path:
    return pack.with_suffix(".json")


def scratch_key(files: Iterable[Path], *more: object) -> str:
    """Hash everything that the packs depend on.

    Args:
        files: the videos; their paths, sizes and modification times are hashed, not their bytes.
        more: other values, hashed by their `repr`.

    Returns:
        The hash in hex, over the above, the versions of the decoders, and the code that uses them.
    """
    key = blake2b(repr(more).encode(), digest_size=12)
    for name in ("opencv-python-headless", "opencv-python", "av"):
        with suppress(importlib.metadata.PackageNotFoundError):
            key.update(f"{name} {importlib.metadata.version(name)}".encode())
    for code in sorted(Path(__file__).parent.glob("*.py")):
        key.update(code.read_bytes())
    for file in files:
        try:
            status = file.stat()
            key.update(f"{file}\0{status.st_size} {status.st_mtime_ns}\0".encode())
        except OSError as error:
            key.update(f"{file}\0{error.strerror}\0".encode())
    return key.hexdigest()


@contextmanager
def scratch_folder(key: str) -> Iterator[Path]:
    """Lock the folder of a key, or wait for another run to end; delete it at the end unless an error was raised.

    Folders of other keys are deleted too, unless another run uses them.

    Raises:
        OSError: the folder cannot be made; the error has its name.
    """
    with keyed_folder(scratch("extract_frames"), key, "extracting the same videos") as folder:
        for part in folder.glob("*.part"):
            part.unlink()
        yield folder
