"""Nearest neighbours by cosine similarity: exact, or approximate among millions.

The exact search has two steps. Matrix products in float32 pick a few candidates more than asked for. Then the cosines
of these, computed in float64 and rounded to float32, decide. So a vector and its multiples are equally near to
everything, and neither the size of blocks nor the BLAS at hand shows in the answer. Where float32 cannot tell the last
neighbour from the best vector left out (of a collapsed encoder, say), all cosines of that query are in float64.

Shapes: N queries, M gallery vectors, D dimensions, K neighbours. At a time: B queries, C gallery vectors, W candidates.
"""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from mofore.errors import UserError
from mofore.utils.workers import worker_count

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
RowArray = npt.NDArray[np.int64]
QUERIES_A_BLOCK = 512  # at most; no more than 65,536
GALLERY_A_BLOCK = 1024
SPARE = 8  # candidates beyond K
LISTS_PROBED = 32  # of the approximate search
POINTS_A_LIST = 64  # from which k-means learns where the lists lie; faiss advises 39 to 256


def nearest(
    queries_ND: FloatArray, gallery_MD: FloatArray, k: int, index: str = "exact"
) -> tuple[RowArray, FloatArray]:
    """The k gallery vectors nearest to each query by cosine similarity, nearest first.

    Memory of the exact search: one copy of the gallery, the answer, and for each core about B (21 C + 24 K + 12 D)
    bytes, 15 MB for K=50 and D=512; twice that where float32 does not do.

    Args:
        queries_ND: of any length; a zero vector has similarity 0 to everything.
        gallery_MD: likewise, at least one.
        k: at least 1; of a smaller gallery, all are given.
        index: `exact`, or `faiss` for a search in a few of the many lists into which k-means parts the gallery (Sivic
            and Zisserman, "Video Google", 2003; Douze et al., "The Faiss library", 2024). It finds most of the nearest,
            and pays where both sides are large: with a million vectors, k-means alone takes a minute or more.

    Returns:
        Gallery rows [N, K] and cosine similarities [N, K], K = min(k, M). Equal similarities: lower row first.

    Raises:
        UserError: `index` is `faiss`, and faiss is not installed.
    """
    k = min(k, len(gallery_MD))
    if index == "faiss":
        return _nearest_by_faiss(queries_ND, gallery_MD, k)
    rows_NK = np.empty((len(queries_ND), k), dtype=np.int64)
    similarity_NK = np.empty((len(queries_ND), k), dtype=np.float32)
    # Each core works on blocks of its own: threads inside a matrix product would wait while candidates are picked.
    cores, queries = worker_count(-1), max(1, len(queries_ND))
    rounds = math.ceil(queries / (cores * QUERIES_A_BLOCK))
    block = math.ceil(queries / (cores * rounds))  # so that no core is left without one in the last round
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(cores) as pool:
        gallery = _Gallery(gallery_MD, pool)

        def search(at: slice) -> None:
            rows_NK[at], similarity_NK[at] = gallery.nearest(queries_ND[at], k)

        list(pool.map(search, _blocks(len(queries_ND), block)))
    return rows_NK, similarity_NK


class _Gallery:
    """Vectors to search among."""

    def __init__(self, x_MD: FloatArray, pool: ThreadPoolExecutor) -> None:
        self.x_MD = x_MD
        self.length_M = np.empty(len(x_MD))
        self.unit_MD = np.empty(x_MD.shape, dtype=np.float32)

        def scale(at: slice) -> None:
            self.length_M[at] = _length(x_MD[at])
            self.unit_MD[at] = x_MD[at] / self.length_M[at, None]

        list(pool.map(scale, _blocks(len(x_MD), GALLERY_A_BLOCK)))

    def nearest(self, queries_BD: FloatArray, k: int) -> tuple[RowArray, FloatArray]:
        """As the function `nearest`, for one block of queries."""
        unit_BD = queries_BD / _length(queries_BD)[:, None]
        candidates_BW, last_B = self._roughly(unit_BD, min(k + SPARE, len(self.x_MD)))
        rows_BK, similarity_BK = self._ranked(unit_BD, candidates_BW, k)
        if candidates_BW.shape[1] < len(self.x_MD):
            # The most by which D products and sums in float32, of vectors rounded to it, can be off; doubled.
            error = (unit_BD.shape[1] + 8) * np.finfo(np.float32).eps
            doubtful_B = similarity_BK[:, -1] <= last_B + error
            if doubtful_B.any():
                unit_BD = unit_BD[doubtful_B]
                exact_BK, _ = self._exactly(unit_BD, k)
                rows_BK[doubtful_B], similarity_BK[doubtful_B] = self._ranked(unit_BD, exact_BK, k)
        return rows_BK, similarity_BK

    def _roughly(self, unit_BD: DoubleArray, k: int) -> tuple[RowArray, FloatArray]:
        """Rows with the k largest similarities, rising, and the k-th of these similarities; computed in float32."""
        found = _Largest(len(unit_BD), k)
        unit_DB = np.ascontiguousarray(unit_BD.T, dtype=np.float32)
        space_CB = np.empty((found.block, len(unit_BD)), dtype=np.float32)
        for at in _blocks(len(self.unit_MD), found.block):
            found.add(at.start, np.matmul(self.unit_MD[at], unit_DB, out=space_CB[: at.stop - at.start]))
        return found.result()

    def _exactly(self, unit_BD: DoubleArray, k: int) -> tuple[RowArray, FloatArray]:
        """The same, computed in float64."""
        found = _Largest(len(unit_BD), k)
        for at in _blocks(len(self.x_MD), found.block):
            similarity_CB = (self.x_MD[at].astype(np.float64) @ unit_BD.T) / self.length_M[at, None]
            found.add(at.start, similarity_CB.astype(np.float32))
        return found.result()

    def _ranked(self, unit_BD: DoubleArray, rows_BW: RowArray, k: int) -> tuple[RowArray, FloatArray]:
        """The k nearest of each query's candidates, which come in rising order."""
        similarity_BW = np.empty(rows_BW.shape, dtype=np.float32)
        for unit_D, rows_W, similarity_W in zip(unit_BD, rows_BW, similarity_BW, strict=True):
            similarity_W[:] = (self.x_MD[rows_W].astype(np.float64) @ unit_D) / self.length_M[rows_W]
        order_BK = np.argsort(-similarity_BW, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(rows_BW, order_BK, axis=1), np.take_along_axis(similarity_BW, order_BK, axis=1)


class _Largest:
    """Of each of B queries the k largest similarities, and their gallery rows. Equal similarities: lower row first.

    The gallery comes block by block. Once k rows are known, others count only above the k-th of them: one comparison
    with a whole block finds these few. They wait beside the k until one query has k of them.
    """

    def __init__(self, queries: int, k: int) -> None:
        self.k = k
        self.block = max(k, GALLERY_A_BLOCK)  # gallery rows to give at a time
        self.similarity_BW = np.full((queries, 2 * k + self.block), -np.inf, dtype=np.float32)
        self.row_BW = np.zeros(self.similarity_BW.shape, dtype=np.int64)  # rising, as far as filled
        self.filled_B = np.zeros(queries, dtype=np.int64)
        self.last_B = np.empty(queries, dtype=np.float32)  # the k-th largest so far, or less

    def add(self, row: int, similarity_CB: FloatArray) -> None:
        """Take in a block that begins with this gallery row; all but the last are `self.block` long."""
        if row == 0:
            kth_B = np.partition(similarity_CB, len(similarity_CB) - self.k, axis=0)[-self.k]
            self.last_B = np.nextafter(kth_B, np.float32(-np.inf))
        at = np.flatnonzero(similarity_CB > self.last_B)
        rows, query = np.divmod(at, similarity_CB.shape[1])
        order = np.argsort(query.astype(np.uint16), kind="stable")  # of 16 bits: a radix sort
        query = query[order]
        count_B = np.bincount(query, minlength=len(self.filled_B))
        column = self.filled_B[query] + np.arange(len(query)) - np.repeat(np.cumsum(count_B) - count_B, count_B)
        self.similarity_BW[query, column] = similarity_CB.reshape(-1)[at[order]]
        self.row_BW[query, column] = row + rows[order]
        self.filled_B += count_B
        if self.filled_B.max() > 2 * self.k:
            self._choose()

    def result(self) -> tuple[RowArray, FloatArray]:
        """Their rows [B, K], rising, and the k-th largest similarity [B], once all blocks are there."""
        self._choose()
        return self.row_BW[:, : self.k], self.last_B

    def _choose(self) -> None:
        """Keep the k largest of each query."""
        width = self.filled_B.max()
        similarity_BW, row_BW = self.similarity_BW[:, :width], self.row_BW[:, :width]
        last_B1 = np.partition(similarity_BW, width - self.k, axis=1)[:, [width - self.k]]
        above_BW, equal_BW = similarity_BW > last_B1, similarity_BW == last_B1
        room_B1 = self.k - above_BW.sum(axis=1, keepdims=True)
        keep_BW = above_BW | (equal_BW & (np.cumsum(equal_BW, axis=1) <= room_B1))
        kept_BK = similarity_BW[keep_BW].reshape(-1, self.k)
        self.row_BW[:, : self.k] = row_BW[keep_BW].reshape(-1, self.k)
        similarity_BW[:] = -np.inf
        similarity_BW[:, : self.k] = kept_BK
        self.filled_B[:] = self.k
        self.last_B = last_B1[:, 0]


def _nearest_by_faiss(queries_ND: FloatArray, gallery_MD: FloatArray, k: int) -> tuple[RowArray, FloatArray]:
    try:
        import faiss
    except ImportError:
        raise UserError(
            "params.yaml: knn.index is 'faiss', but faiss is not installed: pip install faiss-cpu"
        ) from None
    queries, gallery = (np.array(x, dtype=np.float32, order="C") for x in (queries_ND, gallery_MD))
    faiss.normalize_L2(queries)
    faiss.normalize_L2(gallery)
    rows, dim = gallery.shape
    lists = max(1, min(round(4 * rows**0.5), rows // POINTS_A_LIST))
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.max_points_per_centroid = POINTS_A_LIST
    index.cp.min_points_per_centroid = 1  # silences a warning about galleries too small for more than a few lists
    index.train(gallery)
    index.add(gallery)
    index.nprobe = LISTS_PROBED
    similarity_NK, rows_NK = index.search(queries, k)
    order_NK = np.lexsort((rows_NK, -similarity_NK), axis=1)
    rows_NK = np.take_along_axis(rows_NK, order_NK, axis=1)
    similarity_NK = np.take_along_axis(similarity_NK, order_NK, axis=1)
    short_N = (rows_NK < 0).any(axis=1)  # the lists probed hold fewer than k
    if short_N.any():
        rows_NK[short_N], similarity_NK[short_N] = nearest(queries_ND[short_N], gallery_MD, k)
    return rows_NK, similarity_NK


def _length(x_ND: FloatArray) -> DoubleArray:
    """Of each vector; 1 for a zero vector, which so stays one when divided by it."""
    x = x_ND.astype(np.float64)
    length_N = np.sqrt(np.einsum("nd,nd->n", x, x))
    return np.where(length_N > 0, length_N, 1.0)


def _blocks(n: int, size: int) -> Iterator[slice]:
    return (slice(begin, min(begin + size, n)) for begin in range(0, n, size))
