"""Search a table for the moments, or the videos, that are most like a video or a part of one.

Up to EXACT_ROWS rows, all are compared with the query: the table is read twice, group by group, for the scale of the
features and for the scores. So memory does not grow with the embeddings, only by about 45 bytes a row, and the result
is exact. Of more rows an index is made, if faiss is installed: see `index.py`.

Shapes: N rows, D feature dimensions.
"""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mofore.collection.encoder import EncoderFacts, describe_encoder
from mofore.collection.index import has_faiss, indexed_scores
from mofore.collection.table import VIDEO, WINDOW, Recipe, group_starts, groups_with, read_groups, read_recipe
from mofore.collection.vectors import PLACE, exact_scores
from mofore.errors import UserError
from mofore.utils.progress import tell

FloatArray = npt.NDArray[np.float32]
EXACT_ROWS = 1_000_000  # of all kinds, up to which all are compared
CANDIDATES = 2048  # rows that are asked of an index; many may be windows that overlap
OVERLAP_TOLERANCE = 0.05  # seconds that two moments may share without overlapping: rounding, or a frame


@dataclass(frozen=True)
class Hit:
    """A moment that was found.

    Attributes:
        file: absolute path of the video.
        start_s, end_s: seconds from its first frame.
        score: cosine similarity with the query, -1 to 1; 0 is usual for two videos of the table.
    """

    file: str
    start_s: float
    end_s: float
    score: float


def search(
    table: Path,
    query: Path,
    start_s: float | None = None,
    end_s: float | None = None,
    k: int = 10,
    whole_videos: bool = False,
    other_files: bool = False,
    encoder: str | Path | None = None,
    exact: bool = False,
    quiet: bool = False,
) -> list[Hit]:
    """The k moments of a table that are most like a query, the best first.

    Moments are windows that do not overlap: of windows of one file that overlap, only the best is given. The query
    itself is never found: no moment of its file that overlaps it. So with a whole video as query, nothing of its file
    is found; with a part, other moments of the same recording are, since they are often what is looked for.

    If the query is a video of the table and its file has not changed, or is gone, its rows are used, and neither video
    nor encoder is opened: of a whole video the mean of all its clips, of a part the mean of the windows that overlap
    it, weighted by how much they do. Otherwise the query is embedded as the videos of the table were.

    Args:
        table: the file that `mofore embed` wrote.
        query: a video file, in the table or not.
        start_s, end_s: a part of the query, in seconds; None: from the start, to the end.
        k: number of moments, at least 1; fewer are returned if the table has no more.
        whole_videos: find videos, by the mean over each, and not moments.
        other_files: find nothing in the query's own file.
        encoder: the folder of the table's encoder, or "shipped"; None: where it was when the table was made.
        exact: compare all rows, however many there are.
        quiet: show no progress of making an index, and no hint that there could be one.

    Raises:
        UserError: table or query cannot be read, the query has no such part, or the encoder is not the table's.
    """
    start, end = start_s or 0.0, math.inf if end_s is None else end_s
    if not 0 <= start < end:
        raise UserError(f"{query}: part from {start:g} to {end:g} s: the start must be at least 0 and before the end")
    if k < 1:
        raise UserError(f"{k} results were asked for: ask for at least 1")
    recipe, kind = read_recipe(table), VIDEO if whole_videos else WINDOW
    if encoder is not None:
        _check_encoder(table, recipe, encoder)
    q_D = _query_in_table(table, query, start_s, end_s)
    if q_D is None:
        q_D = _embed(table, recipe, query, start_s, end_s, encoder)
    own, without = _names(query), (0.0, math.inf) if other_files else (start, end)
    rows = int(group_starts(table)[-1])
    if not exact and rows > EXACT_ROWS:
        if has_faiss():
            hits = _by_index(table, kind, q_D, k, own, without, quiet)
            if len(hits) == k:
                return hits  # else too many candidates overlap each other or the query
        elif not quiet:
            tell(f"search: comparing all {rows:,} rows: an index is faster: pip install 'mofore[index]'")
    return _best(*exact_scores(table, kind, q_D), k, own, without)


def _by_index(
    table: Path, kind: str, q_D: FloatArray, k: int, own: set[str], without: tuple[float, float], quiet: bool
) -> list[Hit]:
    """The best moments by the index; none if it cannot be made, or the table was replaced meanwhile."""
    try:
        found = indexed_scores(table, kind, q_D, max(CANDIDATES, 8 * k), quiet)
    except OSError as error:
        if not quiet:
            tell(f"search: no index can be made beside {table} ({error.strerror}): comparing all rows, as with --exact")
        return []
    return _best(*found, k, own, without) if found else []


def _query_in_table(table: Path, query: Path, start_s: float | None, end_s: float | None) -> FloatArray | None:
    """The features of the query, [D], by its rows of the table; None if it has none for that, or its file has
    changed.

    Raises:
        UserError: the query is neither in the table nor on the disk, has no embedding, or no such part.
    """
    rows = _rows_of(table, _names(query))
    whole = next((row for row in rows if row["kind"] == VIDEO), None)
    try:
        status = query.stat()
        if whole is None or (whole["size"], whole["modified"]) != (status.st_size, status.st_mtime_ns):
            return None
    except OSError:
        if whole is None:
            raise UserError(f"{query}: no such file, and not a video of {table} either: check the name") from None
    if whole["embedding"] is None:
        raise UserError(f"{query}: has no embedding: {whole['reason']}: search with another video")
    if start_s is None and end_s is None:
        return np.asarray(whole["embedding"], np.float32)
    start, end = start_s or 0.0, math.inf if end_s is None else end_s
    windows = [row for row in rows if row["kind"] == WINDOW and row["start_s"] < end and row["end_s"] > start]
    if not windows and start < whole["end_s"]:
        return None  # between two windows, or after the last
    if not windows:
        raise UserError(f"{query}: ends at {whole['end_s']:.2f} s, before the part that starts at {start:g} s")
    overlap_N = np.array([min(row["end_s"], end) - max(row["start_s"], start) for row in windows])
    x_ND = np.array([row["embedding"] for row in windows])
    return (overlap_N @ x_ND / overlap_N.sum()).astype(np.float32)


def _embed(
    table: Path, recipe: Recipe, query: Path, start_s: float | None, end_s: float | None, encoder: str | Path | None
) -> FloatArray:
    from mofore.collection.embed import embed_query  # here: a query that is in the table is not decoded

    found = _check_encoder(table, recipe, encoder)
    return embed_query(query, found, start_s, end_s, recipe.window, recipe.step)


def _check_encoder(table: Path, recipe: Recipe, encoder: str | Path | None) -> EncoderFacts:
    """The encoder of a table; `encoder` says where it is now, if it is no longer where it was.

    Raises:
        UserError: it is not there, or it is another one.
    """
    try:
        found = describe_encoder(recipe.encoder if encoder is None else encoder)
    except UserError as error:
        if encoder is not None:
            raise
        raise UserError(f"{table}: its encoder is not where it was: {error}: say where it is with --encoder") from None
    if found.hash != recipe.encoder_hash:
        raise UserError(
            f"{table}: was made with another encoder ({recipe.encoder}, {recipe.encoder_hash}) than {found.source} is "
            f"now ({found.hash}): give that one with --encoder, or run `mofore embed` with a new --out"
        )
    return found


def _names(query: Path) -> set[str]:
    """Under which paths a table may have a file."""
    return {os.path.abspath(query), os.path.realpath(query)}


def _rows_of(table: Path, names: set[str]) -> list[dict[str, Any]]:
    """The rows of one file, with their embeddings."""
    found = []
    columns = [*PLACE, "kind", "size", "modified", "reason", "embedding"]
    for rows in read_groups(table, columns, numbers=groups_with(table, names)):
        found += rows.filter(pc.is_in(rows["file"], pa.array(sorted(names)))).to_pylist()
    return found


def _best(places: pa.Table, score_N: FloatArray, k: int, own: set[str], without: tuple[float, float]) -> list[Hit]:
    """The k best moments that do not overlap each other, nor, in the files `own`, the time `without`."""
    files = places["file"].combine_chunks()
    file_N, start_N, end_N = files.indices.to_numpy(), places["start_s"].to_numpy(), places["end_s"].to_numpy()
    name = files.dictionary.to_pylist()
    taken: dict[str, list[tuple[float, float]]] = {path: [without] for path in own}
    hits: list[Hit] = []
    for row in np.argsort(-score_N, kind="stable"):
        file, start, end = name[file_N[row]], float(start_N[row]), float(end_N[row])
        taken_here = taken.setdefault(file, [])
        if all(
            min(end, other_end) - max(start, other_start) < OVERLAP_TOLERANCE for other_start, other_end in taken_here
        ):
            taken_here.append((start, end))
            hits.append(Hit(file, start, end, float(score_N[row])))
            if len(hits) == k:
                break
    return hits
