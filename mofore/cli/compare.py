"""`mofore compare`."""

from typing import Annotated

import typer

EXAMPLES = """
mofore compare queue embed.spread=0 --set demo --set /data/ucf101
dvc queue start
mofore compare embed.spread=0 --set demo --set /data/ucf101
mofore compare queue contrast.anchor=forecast --held-out --seed 1 --seed 2 --seed 3
"""


def compare(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY=VALUE",
            help="The change in params.yaml. The word queue before it: queue the runs in place of comparing them.",
        ),
    ],
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="SET", help="demo, or a folder of labelled videos. May be repeated. Default: demo."
        ),
    ] = None,
    seeds: Annotated[list[int] | None, typer.Option("--seed", help="May be repeated. Default: 1.")] = None,
    held_out: Annotated[
        bool,
        typer.Option(
            "--held-out",
            help="Train on two thirds of the groups of a training side and score the last third, also by forecast "
            "skill. Seeds 1, 2 and 3 hold out a third each.",
        ),
    ] = False,
) -> None:
    """Compare a change of params.yaml without looking at a test side.

    With queue it queues a DVC experiment for each set and seed, with and without the change. Without, it scores the
    embeddings of training videos by cross-validation over groups, and prints the differences with their intervals.
    """
    from mofore.experiments.compare import queue_or_compare

    queue_or_compare(words, sets or ["demo"], seeds or [1], held_out)
