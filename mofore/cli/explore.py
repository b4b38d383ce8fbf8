"""`mofore explore`."""

from pathlib import Path
from typing import Annotated

import typer

from mofore.cli.output import TABLE, Json, Quiet, TableFile, print_json

EXAMPLES = """
mofore explore
mofore explore --in embeddings.parquet --out explore.html
"""


def explore(
    table: TableFile = TABLE,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The HTML page to write.")] = Path("explore.html"),
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a page to look through a collection.

    It has a map, clusters of alike videos, near-duplicates and videos that show nothing. It is one file that needs no
    network. 20,000 videos take minutes.
    """
    from mofore.collection.explore import explore as write_page

    write_page(table, out, quiet=quiet)
    if as_json:
        print_json({"out": out})
    elif not quiet:
        print(f"explore: see {out}")
