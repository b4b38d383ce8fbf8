"""`mofore sort`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mofore.cli.output import TABLE, Json, Quiet, TableFile, print_json

EXAMPLES = """
mofore sort labels.csv
mofore sort labels.csv --in embeddings.parquet --out labels_out.csv
mofore sort labels.csv --json
"""


def sort(
    labels: Annotated[
        Path,
        typer.Argument(
            metavar="LABELS",
            help="A CSV with columns path and label, and group if you have groups. A path may be absolute, relative to "
            "the CSV or to this folder, or the end of one that only one video has.",
        ),
    ],
    table: TableFile = TABLE,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The CSV to write.")] = Path("labels_out.csv"),
    seed: Annotated[int, typer.Option(min=0, help="Of the folds of cross-validation.")] = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Label all videos from a few labels.

    Writes a CSV with the label of each video and its probability, the least certain first: label those next.
    With labels in 5 groups a class or more, and 20 in all, it says how many of the new labels will be right.
    """
    from mofore.collection.sort import describe, sort_collection

    result = sort_collection(table, labels, out, seed)
    if as_json:
        expected = asdict(result.expected) if result.expected else None
        sources = result.table.source.value_counts().to_dict()
        print_json(
            {
                "out": out,
                "videos": sources,
                "expected": expected,
                "temperature": result.temperature,
                "notes": result.notes,
            }
        )
    elif not quiet:
        print("\n".join([*describe(result), f"sort: see {out}"]))
