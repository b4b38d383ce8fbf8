"""`mofore embed`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from mofore.cli.output import TABLE, Json, Quiet, print_json, print_note
from mofore.errors import UserError

FEW = 500  # videos among which near-duplicates are looked for at once, in half a minute or less
EXAMPLES = """
mofore embed /data/videos
mofore embed /data/videos clip.mp4 'more/**/*.mkv' --out all.parquet
mofore embed lecture.mp4 --window 10 --step 5 --out lecture.parquet
mofore embed /data/videos --encoder data/model --out mine.npz
mofore embed /data/videos --again
"""


def embed(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH", help="Files, folders, or patterns in quotes: ** is any folders.")
    ],
    out: Annotated[
        Path,
        typer.Option(
            metavar="TABLE",
            help="The Parquet file to write or add to. If its name ends in .npz: a file for NumPy, written anew.",
        ),
    ] = TABLE,
    encoder: Annotated[
        str, typer.Option(metavar="shipped|FOLDER", help="The shipped encoder, or the folder of one, as data/model.")
    ] = "shipped",
    window: Annotated[float, typer.Option(metavar="SECONDS", help="Length of a window.")] = 2.0,
    step: Annotated[float, typer.Option(metavar="SECONDS", help="Time from one window to the next.")] = 1.0,
    workers: Annotated[int, typer.Option(min=-1, metavar="N", help="Processes; -1: one for each core.")] = -1,
    backend: Annotated[
        Literal["local", "dask"],
        typer.Option(help="Where processes run: here, or on the cluster at DASK_SCHEDULER_ADDRESS."),
    ] = "local",
    device: Annotated[str, typer.Option(metavar="cpu|cuda", help="Where the encoder runs.")] = "cpu",
    again: Annotated[
        bool, typer.Option("--again", help="Also embed anew what could not be read, or only in part.")
    ] = False,
    drop_missing: Annotated[
        bool, typer.Option("--drop-missing", help="Also drop rows of videos whose folder is missing or empty.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Embed videos, the first step of all others here.

    Writes a table with the embeddings of videos and of windows of them. Videos may have any length. If the table
    exists, only videos are embedded that are new or have changed. A run that was stopped goes on where it was.
    """
    from mofore.utils.text import counted, some_names

    options: dict[str, Any] = {"encoder": encoder, "window": window, "step": step, "workers": workers}
    options |= {"backend": backend, "device": device, "again": again, "quiet": quiet, "drop_missing": drop_missing}
    if out.suffix.lower() not in (".parquet", ".npz"):
        raise UserError(f"{out}: give --out a name that ends in .parquet, or in .npz for NumPy")
    if out.suffix.lower() == ".npz":
        from mofore.collection.dataframe import embed_to_npz

        done, found = embed_to_npz(paths, out, **options), None
    else:
        from mofore.collection.embed import embed_to_table
        from mofore.collection.health import health
        from mofore.collection.table import read_videos

        done = embed_to_table(paths, out, **options)
        few = done.added > 0 and len(read_videos(out)) <= FEW
        found = health(out, few, quiet) if as_json or not quiet else None
    if as_json:
        print_json(asdict(done) | ({"health": found.as_json()} if found else {}))
    elif quiet and done.unreadable:
        reasons = [f"{name} ({reason})" for name, reason in done.unreadable.items()]
        bad = f"{len(reasons):,} of {counted(done.videos, 'video')}"
        print_note(f"warning: {bad} could not be embedded: {some_names(reasons, 2)}", quiet=False)
    elif not quiet:
        print("\n".join([str(done), *(found.lines() if found else [])]))
        if not found:
            for name, reason in done.unreadable.items():
                print(f"left out: {name}: {reason}")
        elif found.duplicates is None:
            print("not looked for near-duplicates, which takes longer: `mofore duplicates`")
