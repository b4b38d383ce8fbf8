"""`mofore duplicates`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mofore.cli.output import TABLE, Json, Quiet, TableFile, print_json, print_note, print_table

EXAMPLES = """
mofore duplicates
mofore duplicates --in embeddings.parquet --split /data/videos/videos.csv
mofore duplicates --split /data/train --split /data/test
mofore duplicates --threshold 0.9 | cut -f 5
"""
AUTO = "auto"


def _number(text: str) -> float | None:
    """The threshold; None to have it chosen."""
    try:
        return None if text == AUTO else float(text)
    except ValueError:
        raise typer.BadParameter(f"'{text}' is neither {AUTO} nor a number") from None


def duplicates(
    table: TableFile = TABLE,
    threshold: Annotated[
        str,
        typer.Option(metavar="auto|SCORE", help="Score from which a pair counts, 0 to 1; auto: by the background."),
    ] = AUTO,
    split: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="CSV|FOLDER", help="A CSV with columns path and split, or --split for each of two folders or more."
        ),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find copies: re-encoded, cropped, mirrored, re-timed.

    Prints score, kind, sides of the split and both files of each pair, files with the same bytes first; in a pipe,
    separated by tabs. With a split, a copy on both of its sides is a leak.
    """
    wanted = _number(threshold)
    from mofore.collection.duplicates import find_duplicates
    from mofore.utils.text import counted

    found = find_duplicates(table, wanted, split[0] if split and len(split) == 1 else split, quiet)
    if as_json:
        pairs = [asdict(pair) | {"leaky": pair.leaky} for pair in found.pairs]
        print_json(asdict(found) | {"pairs": pairs})
        return
    rows = []
    for pair in found.pairs:
        kind = "identical" if pair.same_bytes else "mirrored" if pair.mirrored else "copy"
        sides = "|".join(side or "-" for side in pair.sides) if any(pair.sides) else "-"
        rows.append((f"{pair.score:.3f}", kind, sides, pair.first, pair.second))
    print_table(("score", "kind", "split", "first", "second"), rows)
    for note in found.notes:
        print_note(f"warning: {note}", quiet=False)
    leaks = sum(pair.leaky for pair in found.pairs)
    where = f", {leaks:,} on both sides of the split" if split else ""
    print_note(
        f"duplicates: {counted(len(rows), 'pair')} of copies{where}; thresholds {found.threshold:.2f}, and "
        f"{found.still_threshold:.2f} where nothing moves",
        quiet,
    )
