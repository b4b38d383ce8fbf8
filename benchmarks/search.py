"""Search a made-up table: time and peak memory of the exact search, and of the index if the table is large.

    python benchmarks/search.py [--rows 1000000] [--dim 384] [--files 20000] [--turns 3] [--folder FOLDER]

The table is made in FOLDER, by default that of temporary files, and removed afterwards; a million rows of 384 numbers
need 1.6 GB. Windows lie around their videos, videos around 1,000 centres. Queries are parts of videos of the table, so
that no encoder is needed. Memory is the peak resident memory of a process of its own that only searches (Linux only).
With more than a million rows, the index is measured as well: the time to make it, that of a search, and which share of
the exact search's ten moments it finds, over all searches. The last line of the output is JSON.

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

from mofore.collection.search import EXACT_ROWS, search
from mofore.collection.table import SCHEMA, VIDEO, WINDOW, Recipe, write_table

CENTRES = 1000
RECIPE = Recipe(encoder="shipped", encoder_hash="made up", window=2.0, step=1.0, clip={})


def video_rows(number: int, windows: int, dim: int, rng: np.random.Generator) -> pa.Table:
    """Windows of one video, then the video, as `mofore embed` writes them; columns that search ignores are null."""
    rows = windows + 1
    centre_D = np.random.default_rng(number % CENTRES).standard_normal(dim).astype(np.float32)
    x_ND = centre_D + rng.standard_normal((1, dim), np.float32) + 0.5 * rng.standard_normal((rows, dim), np.float32)
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


def measured(path: Path, queries: int, exact: bool) -> tuple[list[float], float, list[set[tuple[str, float]]]]:
    """Seconds of each search, peak memory in MB, and the moments found, in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_search, (path, queries, exact))


def _search(path: Path, queries: int, exact: bool) -> tuple[list[float], float, list[set[tuple[str, float]]]]:
    seconds, found = [], []
    for query in range(queries):
        began = time.perf_counter()
        hits = search(path, Path(f"/made/up/{query:06d}.mp4"), 0.0, 2.0, k=10, exact=exact)
        seconds.append(time.perf_counter() - began)
        assert len(hits) == 10
        found.append({(hit.file, hit.start_s) for hit in hits})
    status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return seconds, int(status["VmHWM"].split()[0]) / 1000, found


def measure_index(table: Path, wanted: list[set[tuple[str, float]]]) -> dict[str, float]:
    """Seconds to make the index, with one search; seconds of a search; memory of both; share that it finds."""
    (making,), making_mb, _ = measured(table, 1, exact=False)
    seconds, mb, found = measured(table, len(wanted), exact=False)
    size = sum(file.stat().st_size for file in table.with_name(f"{table.name}.index").iterdir())
    recall = np.mean([len(one & other) / 10 for one, other in zip(found, wanted, strict=True)])
    numbers = {"making_s": making, "making_mb": making_mb, "search_s": float(np.median(seconds)), "search_mb": mb}
    return numbers | {"size_mb": size / 1e6, "recall": float(recall)}


def main() -> None:
    """Make a small and a large table, search both, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="number of windows")
    parser.add_argument("--dim", type=int, default=384, help="dimensions of an embedding")
    parser.add_argument("--files", type=int, default=20_000, help="number of videos")
    parser.add_argument("--turns", type=int, default=3, help="number of searches, each with another query")
    parser.add_argument("--folder", type=Path, default=None, help="where the table is made")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        table, small = Path(folder) / "large.parquet", Path(folder) / "small.parquet"
        make_table(small, 10_000, args.dim, 200)
        make_table(table, args.rows, args.dim, args.files)
        small_seconds, small_mb, _ = measured(small, args.turns, exact=True)
        seconds, mb, wanted = measured(table, args.turns, exact=True)
        indexed = measure_index(table, wanted) if args.rows > EXACT_ROWS else {}
        size_mb = table.stat().st_size / 1e6
    print(f"10,000 rows: {min(small_seconds):.2f} s, {small_mb:,.0f} MB")
    print(f"{args.rows:,} rows: {min(seconds):.2f} to {max(seconds):.2f} s, {mb:,.0f} MB; table {size_mb:,.0f} MB")
    found = {"rows": args.rows, "dim": args.dim, "seconds": seconds, "peak_mb": mb, "small_peak_mb": small_mb}
    if indexed:
        print("index: " + ", ".join(f"{name} {value:,.2f}" for name, value in indexed.items()))
    print(json.dumps(found | {"table_mb": size_mb, "index": indexed}))


if __name__ == "__main__":
    main()
