"""`mofore ablations`."""

from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = """
mofore ablations queue 1 2 3
dvc queue start
mofore ablations
mofore ablations --out ablations/my-videos
mofore ablations paper queue
"""


def ablations(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="WORD",
            help="paper: the configuration of the paper in place of the default. queue: queue the runs, with these "
            "seeds (1 2 3 if none is given), in place of tabulating them.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of table and figure; default: ablations/, of the configuration of the paper ablations/paper/.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Measure what each part of the method contributes.

    With queue it queues a DVC experiment for each ablation and seed that has no scores yet. Without, it tabulates and
    plots the scores of those that have ended. Queue from a clean commit.
    """
    from mofore.experiments.ablations import queue_or_tabulate

    queue_or_tabulate(words or [], out)
