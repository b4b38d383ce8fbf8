"""Reads the embeddings of a table block by block, so that memory does not grow with them, and scores them exactly.

Scores are cosine similarities of features that are standardised over the rows of a kind, without labels: raw features
share a large mean, and few of them would decide.

Shapes: N rows of a block, D feature dimensions.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mofore.collection.table import no_rows, read_groups, to_matrix
from mofore.embedding.geometry import CONSTANT, Scale

FloatArray = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
PLACE = ["file", "start_s", "end_s"]


class Block(NamedTuple):
    """Rows of one kind, with an embedding.

    Attributes:
        row_N: their numbers in the table, from 0, over rows of all kinds.
        place: columns PLACE.
        x_ND: embeddings.
    """

    row_N: Ints
    place: pa.Table
    x_ND: FloatArray


def read_blocks(table: Path, kind: str) -> Iterator[Block]:
    """The rows of a kind that have an embedding, a group of the file at a time.

    Raises:
        UserError: the table cannot be read, or an embedding has values that are not finite.
    """
    first = 0
    for group in read_groups(table, [*PLACE, "kind", "embedding"], ("file",)):
        rows = np.flatnonzero((group["kind"].to_numpy() == kind) & group["embedding"].is_valid().to_numpy())
        if len(rows):
            kept = group.take(rows) if len(rows) < len(group) else group
            yield Block(first + rows, kept.select(PLACE), to_matrix(kept["embedding"], table))
        first += len(group)


def count_rows(table: Path, kind: str) -> int:
    """Number of rows of a kind, with or without an embedding."""
    return sum(int((group["kind"].to_numpy() == kind).sum()) for group in read_groups(table, ["kind"]))


def scale_of(table: Path, kind: str, blocks: Iterable[FloatArray]) -> Scale:
    """As `geometry.fit_scale`, in one pass. A single row has no scale: it is left as it is.

    Args:
        table, kind: for messages.
        blocks: embeddings [N, D].

    Raises:
        UserError: there is no row.
    """
    count, shift_D, sum_D, squares_D = 0, np.zeros(0), np.zeros(0), np.zeros(0)
    for x_ND in blocks:
        if not count:  # sums of differences from a row near the mean lose no digits
            shift_D = x_ND.mean(axis=0).astype(np.float64)
            sum_D, squares_D = np.zeros_like(shift_D), np.zeros_like(shift_D)
        difference_ND = x_ND - shift_D.astype(np.float32)
        sum_D += difference_ND.sum(axis=0, dtype=np.float64)
        squares_D += np.einsum("nd,nd->d", difference_ND, difference_ND)
        count += len(x_ND)
    if not count:
        raise no_rows(table, kind)
    if count == 1:
        return Scale(np.zeros_like(shift_D), np.ones_like(shift_D))
    mean_D = shift_D + sum_D / count
    std_D = np.sqrt(np.maximum(squares_D / count - np.square(sum_D / count), 0))
    std_D[std_D <= np.maximum(CONSTANT * np.abs(mean_D), 1e-9)] = np.inf
    return Scale(mean_D, std_D)


def scaled_unit(x_ND: FloatArray, scale: Scale) -> FloatArray:
    """Standardised rows of length 1, of which dot products are scores; float32."""
    scaled_ND = x_ND - scale.mean_D.astype(np.float32)
    scaled_ND *= (1 / scale.std_D).astype(np.float32)
    scaled_ND /= np.maximum(np.sqrt(np.einsum("nd,nd->n", scaled_ND, scaled_ND)), 1e-12)[:, None]
    return scaled_ND


def exact_scores(table: Path, kind: str, q_D: FloatArray) -> tuple[pa.Table, FloatArray]:
    """Place, columns PLACE, and similarity with the query, of all rows of a kind. The table is read twice.

    Raises:
        UserError: as `read_blocks`, or there is no row with an embedding.
    """
    scale = scale_of(table, kind, (block.x_ND for block in read_blocks(table, kind)))
    q_D = scaled_unit(q_D[None], scale)[0]
    places, scores = [], []
    for block in read_blocks(table, kind):
        places.append(block.place)
        scores.append(scaled_unit(block.x_ND, scale) @ q_D)
    return pa.concat_tables(places).unify_dictionaries().combine_chunks(), np.concatenate(scores)
