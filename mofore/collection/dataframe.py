"""`mofore.embed`: embeddings of videos as a table in memory; and as a file for NumPy."""

import json
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from mofore.collection.embed import Embedded, embed_to_table, embed_videos
from mofore.collection.encoder import SHIPPED
from mofore.collection.find import find_videos
from mofore.collection.output import check_output, replacing
from mofore.collection.table import GRID, read_recipe
from mofore.errors import UserError


def embed(paths: str | Path | Sequence[str | Path], encoder: str | Path = SHIPPED, **options: Any) -> pd.DataFrame:
    """Embed videos and return the table: a row for each window and each video.

    Args:
        paths: files, folders or patterns, one or several.
        encoder: "shipped", or the folder of a trained encoder, such as `data/model`.
        options: window, step, workers, device, again: see `mofore.collection.embed.embed_to_table`. With `out`, the
            name of a Parquet file, the table is kept there, and a later call embeds only what is new.

    Returns:
        With `out`, the rows of all videos in that table, also of those that `paths` does not name. The columns are as
        `mofore.collection.table` describes. Those with vectors hold NumPy arrays, None where there is none.

    Raises:
        UserError: nothing is found, no video can be used, or the name of `out` does not end in .parquet.
    """
    several = [paths] if isinstance(paths, str | Path) else paths
    if "out" in options:
        out = Path(options.pop("out"))
        check_output(out, ".parquet")
        return pq.read_table(embed_to_table(several, out, encoder, **options).table).to_pandas()
    with tempfile.TemporaryDirectory() as folder:
        done = embed_to_table(several, Path(folder, "t"), encoder, resumable=False, **options)
        return pq.read_table(done.table).to_pandas()


def embed_to_npz(paths: Sequence[str | Path], out: Path, encoder: str | Path = SHIPPED, **options: Any) -> Embedded:
    """As `embed_to_table`, into a NumPy file with one array for each column; all in memory, all embedded anew.

    Rows without embedding are left out; arrays `left_out` and `left_out_reason` name these files. Array `path` is
    column `file`, since NumPy keeps that name for itself. Array `cells` has zeros for windows. Array `recipe` is one
    text, the `Recipe` as JSON, with the encoder's hash: `json.loads(str(arrays["recipe"]))`.
    """
    videos = find_videos(paths)
    check_output(out, ".npz", *videos)
    _check_replaced(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.absolute().parent) as folder:
        done = embed_videos(videos, Path(folder, "t"), encoder, resumable=False, **options)
        table = pq.read_table(done.table)
        table = table.filter(table["embedding"].is_valid())
        embedding_ND = np.stack(table["embedding"].to_numpy())
        empty = np.zeros(GRID**2 * embedding_ND.shape[1], np.float32)
        cells_NE = np.stack([empty if cells is None else cells for cells in table["cells"].to_numpy()])
        arrays: dict[str, Any] = {
            name: np.array(table[column].fill_null("").to_pylist(), str)
            for name, column in (("path", "file"), ("kind", "kind"), ("status", "status"), ("reason", "reason"))
        }
        arrays["recipe"] = np.array(json.dumps(asdict(read_recipe(done.table)), sort_keys=True))
        arrays["left_out"] = np.array(list(done.unreadable), str)
        arrays["left_out_reason"] = np.array(list(done.unreadable.values()), str)
        for name in ("start_s", "end_s", "motion", "contrast", "frames", "fps", "width", "height"):
            arrays[name] = table[name].to_numpy()
        with replacing(out) as file:
            np.savez(file, embedding=embedding_ND, cells=cells_NE, **arrays)
    return Embedded(out, done.added, done.kept, done.dropped, done.unreadable, done.seconds)


def _check_replaced(out: Path) -> None:
    """Raise UserError if there is a file that `embed_to_npz` has not written."""
    if not out.exists():
        return
    try:
        with np.load(out) as arrays:
            own = {"path", "kind", "embedding", "cells"} <= set(arrays.files)
    except (OSError, EOFError, ValueError, TypeError, zipfile.BadZipFile):  # TypeError: of a single array
        own = False
    if not own:
        raise UserError(f"{out}: is there, but `mofore embed` did not write it: give another --out")
