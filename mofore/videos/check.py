"""Check a folder of videos before the first run: what would stop DVC, which hashes the folder before any stage starts.

    python -m mofore.videos.check FOLDER

DVC stops at a link that leads nowhere and at a file that cannot be read, and waits forever for a named pipe.
"""

import argparse
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from mofore.errors import UserError, run_stage
from mofore.utils.text import counted
from mofore.videos.folder import read_folder


def main() -> None:
    """Name all files that would stop DVC, or say that there is none."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="data.path: the folder of your videos")
    root = parser.parse_args().folder
    found = 0
    for path, reason in unhashable(root):
        print(f"{path}: {reason}")
        found += 1
    if found:
        raise UserError(
            f"{root}: {counted(found, 'file')} would stop dvc repro: remove them; inside this repository, a line for "
            "each in .dvcignore does as well"
        )
    print(f"check: {counted(len(read_folder(root).videos), 'video')} in {root}, nothing that would stop DVC")


def unhashable(root: Path) -> Iterator[tuple[Path, str]]:
    """Yield the files and folders that DVC cannot hash, each with the reason. It enters no folder that is a link.

    Raises:
        UserError: there is no such folder.
    """
    if not root.is_dir():
        raise UserError(f"{root}: there is no such folder: name the folder of your videos")
    failed: list[OSError] = []
    for above, _, files in os.walk(root, onerror=failed.append):
        for name in files:
            path = Path(above, name)
            try:
                if not stat.S_ISREG(path.stat().st_mode):
                    yield path, "a pipe, socket or device"
                    continue
                path.open("rb").close()
            except FileNotFoundError:
                yield path, "a link that leads nowhere"
            except OSError as error:
                yield path, f"cannot be read: {error.strerror}"
    yield from ((Path(error.filename), f"cannot be read: {error.strerror}") for error in failed)


if __name__ == "__main__":
    run_stage(main)
