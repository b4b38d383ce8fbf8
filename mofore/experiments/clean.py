"""List or delete what stopped and killed runs have left in `.scratch`, from which they would be resumed.

python -m mofore.experiments.clean                      what there is, its size and age
python -m mofore.experiments.clean pretrain             delete the checkpoints of pretraining that no run is at work on
python -m mofore.experiments.clean pretrain/3f2a download
"""

import sys
import time
from pathlib import Path

from mofore.errors import UserError, run_stage
from mofore.utils.scratch import delete_if_idle, scratch, try_lock


def leftovers() -> list[Path]:
    """The folders of unfinished work, each locked by a run that works on it."""
    return sorted(lock.parent for lock in scratch("").rglob("lock"))


def describe(folder: Path) -> str:
    """Name, size, age, and whether a run is at work on it."""
    files = [path.stat() for path in folder.rglob("*") if path.is_file()]
    size = sum(status.st_size for status in files)
    hours = (time.time() - max(status.st_mtime for status in files)) / 3600
    with try_lock(folder) as idle:
        state = "" if idle else ", in use"
    return f"{folder.relative_to(scratch(''))}: {size / 1e6:,.1f} MB, {hours:,.1f} hours old{state}"


def main() -> None:
    names, found = sys.argv[1:], leftovers()
    if not names:
        print("\n".join(map(describe, found)) or "nothing is left over")
        return
    for name in names:
        stage, _, key = name.strip("/").partition("/")
        chosen = [
            folder
            for folder in found
            if (parts := folder.relative_to(scratch("")).parts)[0] == stage and "/".join(parts[1:]).startswith(key)
        ]
        if not chosen:
            raise UserError(
                f"{scratch(name)}: no such leftovers: run `python -m mofore.experiments.clean` to see which there are"
            )
        for folder in chosen:
            said = describe(folder)
            print(f"deleted {said}" if delete_if_idle(folder) else f"kept {said}")


if __name__ == "__main__":
    run_stage(main)
