"""`mofore search`."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mofore.cli.output import TABLE, Json, Quiet, TableFile, print_json, print_note, print_table

EXAMPLES = """
mofore search clip.mp4
mofore search clip.mp4 --start 12.5 --end 15 -k 20 --html found.html
mofore search clip.mp4 --videos --in embeddings.parquet | cut -f 4
"""


def search(
    query: Annotated[Path, typer.Argument(metavar="QUERY", help="A video, in the table or not.")],
    table: TableFile = TABLE,
    start: Annotated[
        float | None, typer.Option(min=0, metavar="SECONDS", help="Where the part to search with begins.")
    ] = None,
    end: Annotated[float | None, typer.Option(metavar="SECONDS", help="Where it ends.")] = None,
    k: Annotated[int, typer.Option("-k", "--top", min=1, help="How many to find.")] = 10,
    videos: Annotated[bool, typer.Option("--videos", help="Find whole videos, not moments.")] = False,
    other_files: Annotated[bool, typer.Option("--other-files", help="Find nothing in the file of the query.")] = False,
    exact: Annotated[bool, typer.Option("--exact", help="Compare all rows, also of more than a million.")] = False,
    encoder: Annotated[
        str | None,
        typer.Option(metavar="shipped|FOLDER", help="Where the encoder of the table is now, if moved."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write a page that shows what was found, as short loops.")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find the moments that are most like a video.

    Prints score, start and end in seconds, and file, the best first; in a pipe, separated by tabs. The score is a
    cosine similarity: 1 for the same, 0 for two videos with nothing in common but the collection.
    """
    from mofore.collection.search import search as find

    if html:
        from mofore.collection.output import check_page

        check_page(html)
    hits = find(table, query, start, end, k, videos, other_files, encoder, exact, quiet)
    if as_json:
        found = [asdict(hit) for hit in hits]
        print_json({"query": query, "start_s": start, "end_s": end, "hits": found, "html": html})
    else:
        rows = [(f"{hit.score:.3f}", f"{hit.start_s:.2f}", f"{hit.end_s:.2f}", hit.file) for hit in hits]
        print_table(("score", "start", "end", "file"), rows)
    if not hits:
        print_note(f"search: {table} has nothing but the query", quiet or as_json)
    if html:
        from mofore.collection.gallery import write_gallery

        sys.stdout.flush()  # so that a page that fails does not take the hits with it
        write_gallery(html, query, start, end, hits, f"Searched {table}.", quiet or as_json)
        print_note(f"search: see {html}", quiet or as_json)
