"""`mofore check`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = """
mofore check /data/videos
"""


def check(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder of your videos.")],
) -> None:
    """Find what would stop DVC in a folder of videos.

    DVC hashes the folder before any stage starts. It stops at a link that leads nowhere and at a file that cannot be
    read, and waits forever for a named pipe.
    """
    from mofore.videos.check import main

    sys.argv = ["mofore check", "--", str(folder)]  # which main reads
    main()
