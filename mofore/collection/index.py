"""An index of a table's embeddings, for tables of millions of rows: a search then reads a thousandth of them.

The index is a folder beside the table, `TABLE.index`, with two files for each kind of rows: `KIND.faiss`, and
`KIND.npz` with the scale of the features and the state of the table. It is made when it is first needed, and anew when
the table has changed. K-means divides the rows into lists (Sivic and Zisserman, "Video Google", 2003), in which 8 bits
stand for each feature (Douze et al., "The Faiss library", 2024). A query is compared with the rows of the LISTS_PROBED
lists whose centres are nearest to it. faiss maps the file into memory, so of the other lists nothing is read. While the
index is made it is in memory: a byte for each feature of a row, up to twice that while it grows.

Shapes: N rows, D feature dimensions, S rows from which lists are learned, K candidates.
"""

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mofore.collection.output import replacing
from mofore.collection.table import group_starts, read_groups
from mofore.collection.vectors import PLACE, Block, count_rows, read_blocks, scale_of, scaled_unit
from mofore.embedding.geometry import Scale
from mofore.errors import UserError
from mofore.utils.progress import progress, tell
from mofore.utils.scratch import locked

FloatArray = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
LISTS_PER_ROOT = 2  # lists for each unit of the square root of the number of rows
LISTS_PROBED = 64
ROWS_PER_LIST = 40  # from which k-means learns; faiss recommends 39 to 256
ITERATIONS = 10  # of k-means


def has_faiss() -> bool:
    """Whether faiss is installed."""
    return find_spec("faiss") is not None


def indexed_scores(
    table: Path, kind: str, q_D: FloatArray, candidates: int, quiet: bool
) -> tuple[pa.Table, FloatArray] | None:
    """Place, columns PLACE, and similarity with the query, of the rows that are most like it, as far as the index finds
    them; None if the table was replaced meanwhile. Similarities are those of rounded features, to about 0.01.

    Args:
        table: the Parquet file; its index is made if there is none, or not of this state of the table.
        kind: "video" or "window".
        q_D: the query's features.
        candidates: number of rows at most.
        quiet: show no progress of making it.

    Raises:
        UserError: the table cannot be read, or has no row with an embedding; the index is damaged.
        OSError: the index cannot be written; the error has its name.
    """
    import faiss

    folder = table.with_name(table.name + ".index")
    if (scale := _read_scale(folder, table, kind)) is None:
        with locked(folder, f"making the index of {table}"):
            if (scale := _read_scale(folder, table, kind)) is None:
                scale = _make(folder, table, kind, quiet)
    file = folder / f"{kind}.faiss"
    try:
        index: Any = faiss.read_index(str(file), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY)
    except RuntimeError:
        raise UserError(f"{file}: damaged: delete it, and search again") from None
    index.nprobe = LISTS_PROBED
    score_1K, row_1K = index.search(scaled_unit(q_D[None], scale), min(candidates, index.ntotal))
    row_K, score_K = row_1K[0], np.clip(score_1K[0], -1, 1)
    found_K = row_K >= 0  # -1 stands for none, where the lists have fewer rows
    order = np.argsort(row_K[found_K], kind="stable")
    try:
        places = _places(table, row_K[found_K][order])
    except (IndexError, ValueError):  # the table has fewer groups or rows than before
        places = None
    return (places, score_K[found_K][order]) if places and _read_scale(folder, table, kind) else None


def _read_scale(folder: Path, table: Path, kind: str) -> Scale | None:
    """The scale of an index; None if there is no index of this state of the table."""
    try:
        with np.load(folder / f"{kind}.npz") as kept:
            if kept["state"].tolist() == _state(table) and os.access(folder / f"{kind}.faiss", os.R_OK):
                return Scale(kept["mean_D"], kept["std_D"])
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):  # none, or damaged
        pass
    return None


def _state(table: Path) -> list[int]:
    status = table.stat()
    return [status.st_size, status.st_mtime_ns, LISTS_PER_ROOT]


def _make(folder: Path, table: Path, kind: str, quiet: bool) -> Scale:
    """Make the index of a kind of rows; return its scale."""
    import faiss

    state, groups, rows = _state(table), len(group_starts(table)) - 1, max(1, count_rows(table, kind))
    lists = max(1, int(LISTS_PER_ROOT * rows**0.5))
    if not quiet:
        tell(f"search: {rows:,} rows: making an index once, in {folder}; --exact reads all rows instead")

    def blocks(what: str) -> Iterator[Block]:
        yield from progress(read_blocks(table, kind), groups, what, "block", hidden=quiet)

    sample: list[FloatArray] = []
    every = max(1, rows // (lists * ROWS_PER_LIST))

    def sampled() -> Iterator[FloatArray]:
        for block in blocks("index, 1 of 2"):
            sample.append(block.x_ND[::every].copy())  # a view would keep the whole block in memory
            yield block.x_ND

    scale = scale_of(table, kind, sampled())
    index = _learn(scaled_unit(np.concatenate(sample), scale), lists)
    sample.clear()
    for block in blocks("index, 2 of 2"):
        index.add_with_ids(scaled_unit(block.x_ND, scale), block.row_N)
    part = folder / f".{kind}.faiss.part"
    try:
        faiss.write_index(index, str(part))
        os.replace(part, folder / f"{kind}.faiss")
    except RuntimeError as error:  # of faiss, which says so much of a full disk
        reason = str(error).strip().splitlines()[-1]
        raise UserError(f"{part}: cannot be written ({reason}): free some space, or use --exact") from None
    finally:
        part.unlink(missing_ok=True)
    with replacing(folder / f"{kind}.npz") as file:
        np.savez(file, mean_D=scale.mean_D, std_D=scale.std_D, state=np.array(state))
    return scale


def _learn(x_SD: FloatArray, lists: int) -> Any:
    """An index without rows, whose lists are learned from these."""
    import faiss

    dim, lists = x_SD.shape[1], min(lists, len(x_SD))
    index = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(dim), dim, lists, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    )
    index.cp.niter = ITERATIONS
    index.cp.min_points_per_centroid = 1  # avoids a warning for small tables
    index.cp.max_points_per_centroid = 2 * ROWS_PER_LIST
    index.train(x_SD)
    return index


def _places(table: Path, row_K: Ints) -> pa.Table:
    """Columns PLACE of rows by their numbers, which rise."""
    starts = group_starts(table)
    group_K = np.searchsorted(starts, row_K, side="right") - 1
    wanted = sorted(set(group_K.tolist()))
    groups = read_groups(table, PLACE, ("file",), wanted)
    parts = [
        group.take(row_K[group_K == number] - starts[number]) for number, group in zip(wanted, groups, strict=True)
    ]
    return pa.concat_tables(parts).unify_dictionaries().combine_chunks()
