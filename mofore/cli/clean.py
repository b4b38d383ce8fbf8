"""`mofore clean`."""

from typing import Annotated

import typer

EXAMPLES = """
mofore clean
mofore clean pretrain
mofore clean pretrain/3f2a download
"""


def clean(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="STAGE/KEY...",
            help="What to delete. A stage alone means all of it; the start of a key is enough.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """List or delete the unfinished work of stopped runs.

    Later runs would resume from it. Work that a run is using is kept.
    """
    from mofore.experiments.clean import list_or_delete

    list_or_delete(names or [])
