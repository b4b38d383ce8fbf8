"""Search a made-up table with one query: time and peak memory.

    python benchmarks/search.py [--rows 1000000] [--dim 384] [--files 20000] [--turns 3] [--folder FOLDER]

The table of random embeddings is made in FOLDER, by default that of temporary files, and removed afterwards; a million
rows of 384 numbers need 1.6 GB. The query is a part of a video of the table, so that no encoder is needed. Memory
is the peak resident memory of a process of its own that only searches (Linux only), and by how much it is above that of
the same search in a small table. The last line of the output is JSON.

Shapes: N rows, D dimensions.
"""

import argparse
import json
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from mofore.collection.search import search
from mofore.collection.table import SCHEMA, VIDEO, WINDOW, Recipe, write_table

RECIPE = Recipe(encoder="shipped", encoder_hash="made up", window=2.0, step=1.0, clip={})


def video_rows(number: int, windows: int, dim: int, rng: np.random.Generator) -> pa.Table:
    """Windows of one video, then the video, as `mofore embed` writes them; columns that search ignores are null."""
    rows = windows + 1
    x_ND = rng.standard_normal((rows, dim), np.float32)
    offsets = np.arange(0, (rows + 1) * dim, dim)
    known = {
        "file": [f"/made/up/{number:06d}.mp4"] * rows,
        "kind": [WINDOW] * windows + [VIDEO],
        "start_s": [*map(float, range(windows)), 0.0],
        "end_s": [*(second + 2.0 for second in range(windows)), windows + 1.0],
        "embedding": pa.LargeListArray.from_arrays(offsets, x_ND.reshape(-1)),
    }
    return pa.table(
        {
            field.name: pa.array(known[field.name], field.type) if field.name in known else pa.nulls(rows, field.type)
            for field in SCHEMA
        },
        schema=SCHEMA,
    )


def make_table(path: Path, rows: int, dim: int, files: int) -> None:
    """Write a table with `rows` windows, of `files` videos."""

    def parts() -> Iterator[pa.Table]:
        rng = np.random.default_rng(0)
        for number in range(files):
            yield video_rows(number, rows * (number + 1) // files - rows * number // files, dim, rng)

    write_table(path, RECIPE, parts())


def measured(path: Path, turns: int) -> tuple[list[float], float]:
    """Seconds of each search, and peak memory in MB, in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_search, (path, turns))


def _search(path: Path, turns: int) -> tuple[list[float], float]:
    seconds = []
    for _ in range(turns):
        began = time.perf_counter()
        hits = search(path, Path("/made/up/000000.mp4"), 0.0, 2.0, k=10)
        seconds.append(time.perf_counter() - began)
        assert len(hits) == 10
    status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return seconds, int(status["VmHWM"].split()[0]) / 1000


def main() -> None:
    """Make a small and a large table, search both, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="number of windows")
    parser.add_argument("--dim", type=int, default=384, help="dimensions of an embedding")
    parser.add_argument("--files", type=int, default=20_000, help="number of videos")
    parser.add_argument("--turns", type=int, default=3, help="number of searches")
    parser.add_argument("--folder", type=Path, default=None, help="where the table is made")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        table, small = Path(folder) / "large.parquet", Path(folder) / "small.parquet"
        make_table(small, 10_000, args.dim, 200)
        make_table(table, args.rows, args.dim, args.files)
        small_seconds, small_mb = measured(small, args.turns)
        seconds, mb = measured(table, args.turns)
        size_mb = table.stat().st_size / 1e6
    print(f"10,000 rows: {min(small_seconds):.2f} s, {small_mb:,.0f} MB")
    print(f"{args.rows:,} rows: {min(seconds):.2f} to {max(seconds):.2f} s, {mb:,.0f} MB; table {size_mb:,.0f} MB")
    found = {"rows": args.rows, "dim": args.dim, "seconds": seconds, "peak_mb": mb, "small_peak_mb": small_mb}
    print(json.dumps(found | {"table_mb": size_mb}))


if __name__ == "__main__":
    main()
