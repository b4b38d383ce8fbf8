"""What verbs share: their common options, and how they print results, for people and for programs."""

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object, and nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print results, warnings and errors only.")]
TableFile = Annotated[Path, typer.Option("--in", metavar="TABLE", help="The table that mofore embed wrote.")]

TABLE = Path("embeddings.parquet")
ESCAPES = str.maketrans({"\t": "\\t", "\n": "\\n", "\r": "\\r"})


def print_json(result: dict[str, Any]) -> None:
    """Print a result as one JSON object on stdout. Numbers that are not finite become null."""
    utf_8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    print(json.dumps(_plain(result), allow_nan=False, ensure_ascii=not utf_8))


def print_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows on stdout: in columns below a head on a terminal, else separated by tabs, without head.

    In text, tabs and ends of lines are written as `\\t` and `\\n`.
    """
    lines = [[str(cell).translate(ESCAPES) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for line in lines:
            print("\t".join(line))
        return
    lines = [list(head), *lines]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def print_note(text: str, quiet: bool) -> None:
    """Print a line about a result, on stderr, where no program reads it as part of the result."""
    if not quiet:
        print(text, file=sys.stderr)


def _plain(value: Any) -> Any:
    """The value made of what JSON knows."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if hasattr(value, "tolist"):  # of NumPy
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)
