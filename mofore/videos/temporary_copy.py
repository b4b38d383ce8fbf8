"""The user's videos in the copies of the repository in which DVC runs experiments.

`dvc exp run --temp` and the queue run the stages in a copy of what git tracks. Git does not track the videos. So where
`data.path` is a relative path, its folder is missing in the copy; or it is there but empty, if git tracks a file in it,
as in the default `data/videos`.
"""

import os
import subprocess
from pathlib import Path


def is_in_copies(path: Path) -> bool:
    """Whether a copy of this repository has the path: it is absolute, or git tracks a file in it."""
    if path.is_absolute():
        return True
    try:
        return bool(subprocess.run(["git", "ls-files", "--", str(path)], capture_output=True, check=False).stdout)
    except FileNotFoundError:  # no git, so no copies
        return True


def link_originals(path: Path) -> None:
    """Where this is a copy, link each file of a relative `path` in the repository into the same folder here.

    DVC hashes the file that a link leads to, so an experiment depends on the videos as a run in the repository does.
    DVC does not enter a folder that is a link, so such a link stays one.

    Raises:
        OSError: a link cannot be made; the error has its name.
    """
    repository = Path(os.environ.get("DVC_ROOT", "."))
    if path.is_absolute() or not path.is_dir() or os.path.samefile(repository, "."):
        return
    for above, folders, files in os.walk(repository / path):
        here = path / Path(above).relative_to(repository / path)
        here.mkdir(exist_ok=True)
        linked = [name for name in folders if os.path.islink(os.path.join(above, name))]
        for name in files + linked:
            if not os.path.lexists(here / name):
                (here / name).symlink_to(os.path.abspath(os.path.join(above, name)))
