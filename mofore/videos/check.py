"""Check a folder of videos before the first run: what would stop DVC, which hashes the folder before any stage starts.

    python -m mofore.videos.check FOLDER

DVC stops at a link that leads nowhere and at a file that cannot be read, and waits forever for a named pipe.
"""

import argparse
import os
import stat
import subprocess
import sys
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
    found = dict(unhashable(root))
    for path in ignored(list(found)):
        del found[path]
    for path, reason in found.items():
        print(" ".join(f"{path}: {reason}".split()))
    if found:
        inside = Path.cwd() in root.absolute().parents
        raise UserError(
            f"{root}: {counted(len(found), 'file')} would stop dvc repro: remove what is named above"
            + (", or add these lines to .dvcignore: " + ", ".join(map(ignore_line, found))) * inside
        )
    print(f"check: {counted(len(read_folder(root).videos), 'video')} in {root}, nothing that would stop DVC")


def ignored(paths: list[Path]) -> list[Path]:
    """Those of these paths that `.dvcignore` has DVC leave out."""
    command = [sys.executable, "-m", "dvc", "check-ignore", "--stdin"]
    if not paths:
        return []
    listed = subprocess.run(command, input="\n".join(map(str, paths)), capture_output=True, text=True, check=False)
    return [path for path in paths if str(path) in listed.stdout.splitlines()]


def ignore_line(path: Path) -> str:
    """A line of `.dvcignore` for this path alone."""
    name = os.path.relpath(path)
    return "/" + "".join(f"\\{letter}" if letter in "\\*?[]" else letter for letter in name)


def unhashable(root: Path) -> Iterator[tuple[Path, str]]:
    """Yield the files and folders that DVC cannot hash, each with the reason. It enters no folder that is a link.

    Raises:
        UserError: there is no such folder.
    """
    if not root.is_dir():
        what = "a file, not a folder" if root.exists() else "there is no such folder"
        hint = " (write the full path: only a shell knows ~)" if str(root).startswith("~") else ""
        raise UserError(f"{root}: {what}{hint}: name the folder of your videos")
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
