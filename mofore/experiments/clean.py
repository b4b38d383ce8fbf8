"""List or delete the unfinished work that stopped and killed runs left in `.scratch`; later runs would resume from it.

    mofore clean                          # list it, with size and age
    mofore clean pretrain                 # delete checkpoints of pretraining, except those in use
    mofore clean pretrain/3f2a download   # the start of a folder's name is enough

Work that a run is using is kept.
"""

import sys
import time
from pathlib import Path

from mofore.errors import UserError, run_stage
from mofore.utils.scratch import delete_if_idle, scratch, try_lock


def leftovers() -> list[Path]:
    """The folders of unfinished work, sorted. Each has a file `lock`, which a run holds while it uses the folder."""
    return sorted(lock.parent for lock in scratch("").rglob("lock"))


def describe(folder: Path) -> str:
    """One line: name, size in MB, hours since the last change, and whether a run is using it."""
    files = [path.stat() for path in folder.rglob("*") if path.is_file()]
    size = sum(status.st_size for status in files)
    hours = (time.time() - max(status.st_mtime for status in files)) / 3600
    with try_lock(folder) as idle:
        state = "" if idle else ", in use"
    return f"{folder.relative_to(scratch(''))}: {size / 1e6:,.1f} MB, {hours:,.1f} hours old{state}"


def list_or_delete(names: list[str]) -> None:
    """List the leftovers, or delete those that are named as STAGE or STAGE/START_OF_KEY.

    Raises:
        UserError: there are no leftovers of such a name.
    """
    found = leftovers()
    if not names:
        print("\n".join(map(describe, found)) or "no leftovers")
        return
    for name in names:
        stage, _, key = name.strip("/").partition("/")
        chosen = [
            folder
            for folder in found
            if (parts := folder.relative_to(scratch("")).parts)[0] == stage and "/".join(parts[1:]).startswith(key)
        ]
        if not chosen:
            raise UserError(f"{scratch(name)}: no such leftovers: run `mofore clean` to list them")
        for folder in chosen:
            description = describe(folder)
            print(f"deleted {description}" if delete_if_idle(folder) else f"kept {description}")


def main() -> None:
    """Run `list_or_delete` with the words of the command line."""
    list_or_delete(sys.argv[1:])


if __name__ == "__main__":
    run_stage(main)
