"""Nearest neighbours by cosine similarity: exact, or approximate for galleries of millions of vectors.

The exact search has two steps. First, matrix products in float32 find K + SPARE candidates for each query. Then the
cosines of the candidates are computed in float64, rounded to float32, and sorted. So a vector and its multiples have
the same similarity to every query, and the result does not depend on block sizes or on the BLAS library. If float32 is
too coarse to separate the K-th neighbour from the best vector that is no candidate (for example, with embeddings of a
collapsed encoder), all cosines of that query are computed in float64.

Shapes: N queries, M gallery vectors, D dimensions, K neighbours. In one block: B queries, C gallery vectors, W columns
of candidates.
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
QUERIES_PER_BLOCK = 512  # at most; must not exceed 65,536, see `_Largest.add`
GALLERY_PER_BLOCK = 1024
SPARE = 8  # candidates in addition to K
LISTS_PROBED = 32  # lists that the approximate search reads for each query
POINTS_PER_LIST = 64  # training points of k-means per list; faiss recommends 39 to 256


def nearest(
    queries_ND: FloatArray, gallery_MD: FloatArray, k: int, index: str = "exact"
) -> tuple[RowArray, FloatArray]:
    """The k gallery vectors nearest to each query by cosine similarity, nearest first.

    The exact search needs memory for one copy of the gallery, for the result, and for each core about
    B (21 C + 24 K + 12 D) bytes: 15 MB for K=50 and D=512. It needs twice that where it falls back to float64.

    Args:
        queries_ND: queries, of any length; a zero vector has similarity 0 to everything.
        gallery_MD: gallery, likewise; at least one vector.
        k: number of neighbours, at least 1; if the gallery is smaller, all of it is returned.
        index: `exact`, or `faiss` for an approximate search: k-means divides the gallery into lists, and each query is
            compared with the vectors of LISTS_PROBED lists (Sivic and Zisserman, "Video Google", 2003; Douze et al.,
            "The Faiss library", 2024). It finds most of the nearest neighbours. It is faster only if both queries and
            gallery are large: with a million vectors, k-means alone takes a minute or more.

    Returns:
        Gallery rows [N, K] and cosine similarities [N, K], K = min(k, M). Of equal similarities, the lower row first.

    Raises:
        UserError: `index` is `faiss`, and faiss is not installed.
    """
    k = min(k, len(gallery_MD))
    if index == "faiss":
        return _nearest_by_faiss(queries_ND, gallery_MD, k)
    rows_NK = np.empty((len(queries_ND), k), dtype=np.int64)
    similarity_NK = np.empty((len(queries_ND), k), dtype=np.float32)
    # One thread per core, each with its own queries. BLAS threads would be idle while candidates are selected.
    cores, queries = worker_count(-1), max(1, len(queries_ND))
    rounds = math.ceil(queries / (cores * QUERIES_PER_BLOCK))
    block = math.ceil(queries / (cores * rounds))  # equal blocks, so that no core is idle in the last round
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(cores) as pool:
        gallery = _Gallery(gallery_MD, pool)

        def search(at: slice) -> None:
            rows_NK[at], similarity_NK[at] = gallery.nearest(queries_ND[at], k)

        list(pool.map(search, _blocks(len(queries_ND), block)))
    return rows_NK, similarity_NK


class _Gallery:
    """The gallery vectors, with their lengths and as unit vectors in float32."""

    def __init__(self, x_MD: FloatArray, pool: ThreadPoolExecutor) -> None:
        self.x_MD = x_MD
        self.length_M = np.empty(len(x_MD))
        self.unit_MD = np.empty(x_MD.shape, dtype=np.float32)

        def scale(at: slice) -> None:
            self.length_M[at] = _length(x_MD[at])
            self.unit_MD[at] = x_MD[at] / self.length_M[at, None]

        list(pool.map(scale, _blocks(len(x_MD), GALLERY_PER_BLOCK)))

    def nearest(self, queries_BD: FloatArray, k: int) -> tuple[RowArray, FloatArray]:
        """Exact neighbours of one block of queries: rows [B, K] and similarities [B, K], nearest first."""
        unit_BD = queries_BD / _length(queries_BD)[:, None]
        candidates_BW, last_B = self._largest_float32(unit_BD, min(k + SPARE, len(self.x_MD)))
        rows_BK, similarity_BK = self._rank(unit_BD, candidates_BW, k)
        if candidates_BW.shape[1] < len(self.x_MD):
            # Twice the largest error of a dot product of D terms in float32, of unit vectors rounded to float32.
            error = (unit_BD.shape[1] + 8) * np.finfo(np.float32).eps
            unsure_B = similarity_BK[:, -1] <= last_B + error
            if unsure_B.any():
                unit_BD = unit_BD[unsure_B]
                exact_BK, _ = self._largest_float64(unit_BD, k)
                rows_BK[unsure_B], similarity_BK[unsure_B] = self._rank(unit_BD, exact_BK, k)
        return rows_BK, similarity_BK

    def _largest_float32(self, unit_BD: DoubleArray, k: int) -> tuple[RowArray, FloatArray]:
        """Gallery rows of the k largest similarities [B, k], ascending rows, and the k-th largest similarity [B].

        Similarities are computed in float32.
        """
        largest = _Largest(len(unit_BD), k)
        unit_DB = np.ascontiguousarray(unit_BD.T, dtype=np.float32)
        buffer_CB = np.empty((largest.block, len(unit_BD)), dtype=np.float32)
        for at in _blocks(len(self.unit_MD), largest.block):
            largest.add(at.start, np.matmul(self.unit_MD[at], unit_DB, out=buffer_CB[: at.stop - at.start]))
        return largest.result()

    def _largest_float64(self, unit_BD: DoubleArray, k: int) -> tuple[RowArray, FloatArray]:
        """The same as `_largest_float32`, but similarities are computed in float64 and rounded to float32."""
        largest = _Largest(len(unit_BD), k)
        for at in _blocks(len(self.x_MD), largest.block):
            similarity_CB = (self.x_MD[at].astype(np.float64) @ unit_BD.T) / self.length_M[at, None]
            largest.add(at.start, similarity_CB.astype(np.float32))
        return largest.result()

    def _rank(self, unit_BD: DoubleArray, rows_BW: RowArray, k: int) -> tuple[RowArray, FloatArray]:
        """The k nearest of each query's candidates, nearest first; the candidates are in ascending order of rows."""
        similarity_BW = np.empty(rows_BW.shape, dtype=np.float32)
        for unit_D, rows_W, similarity_W in zip(unit_BD, rows_BW, similarity_BW, strict=True):
            similarity_W[:] = (self.x_MD[rows_W].astype(np.float64) @ unit_D) / self.length_M[rows_W]
        order_BK = np.argsort(-similarity_BW, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(rows_BW, order_BK, axis=1), np.take_along_axis(similarity_BW, order_BK, axis=1)


class _Largest:
    """The k largest similarities of each of B queries, and their gallery rows. Of equal similarities, lower rows win.

    Similarities are added block by block of the gallery. After the first block, a similarity matters only if it is
    above the query's k-th largest so far. One comparison with the whole block finds these few. They are collected in a
    buffer. When one query has more than k in addition to its k largest, all buffers are reduced to k.
    """

    def __init__(self, queries: int, k: int) -> None:
        self.k = k
        self.block = max(k, GALLERY_PER_BLOCK)  # gallery rows per call of `add`
        self.similarity_BW = np.full((queries, 2 * k + self.block), -np.inf, dtype=np.float32)
        self.row_BW = np.zeros(self.similarity_BW.shape, dtype=np.int64)  # ascending, in the filled columns
        self.filled_B = np.zeros(queries, dtype=np.int64)  # number of filled columns
        self.last_B = np.empty(queries, dtype=np.float32)  # the k-th largest at the last reduction: a lower bound

    def add(self, row: int, similarity_CB: FloatArray) -> None:
        """Add a block of similarities that begins at this gallery row. Only the last may be shorter than `block`."""
        if row == 0:
            kth_B = np.partition(similarity_CB, len(similarity_CB) - self.k, axis=0)[-self.k]
            self.last_B = np.nextafter(kth_B, np.float32(-np.inf))
        at = np.flatnonzero(similarity_CB > self.last_B)
        rows, query = np.divmod(at, similarity_CB.shape[1])
        order = np.argsort(query.astype(np.uint16), kind="stable")  # of 16-bit integers: NumPy's fast radix sort
        query = query[order]
        count_B = np.bincount(query, minlength=len(self.filled_B))
        column = self.filled_B[query] + np.arange(len(query)) - np.repeat(np.cumsum(count_B) - count_B, count_B)
        self.similarity_BW[query, column] = similarity_CB.reshape(-1)[at[order]]
        self.row_BW[query, column] = row + rows[order]
        self.filled_B += count_B
        if self.filled_B.max() > 2 * self.k:
            self._keep_largest()

    def result(self) -> tuple[RowArray, FloatArray]:
        """After all blocks: gallery rows of the k largest [B, K], ascending, and the k-th largest similarity [B]."""
        self._keep_largest()
        return self.row_BW[:, : self.k], self.last_B

    def _keep_largest(self) -> None:
        """Reduce the buffer of each query to its k largest."""
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
    """Approximate neighbours: gallery rows [N, K] and similarities [N, K], nearest first."""
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
    lists = max(1, min(round(4 * rows**0.5), rows // POINTS_PER_LIST))
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.max_points_per_centroid = POINTS_PER_LIST
    index.cp.min_points_per_centroid = 1  # avoids a warning for small galleries
    index.train(gallery)
    index.add(gallery)
    index.nprobe = LISTS_PROBED
    similarity_NK, rows_NK = index.search(queries, k)
    order_NK = np.lexsort((rows_NK, -similarity_NK), axis=1)
    rows_NK = np.take_along_axis(rows_NK, order_NK, axis=1)
    similarity_NK = np.take_along_axis(similarity_NK, order_NK, axis=1)
    short_N = (rows_NK < 0).any(axis=1)  # the probed lists have fewer than k vectors: search exactly
    if short_N.any():
        rows_NK[short_N], similarity_NK[short_N] = nearest(queries_ND[short_N], gallery_MD, k)
    return rows_NK, similarity_NK


def _length(x_ND: FloatArray) -> DoubleArray:
    """Length of each vector [N]; 1 for a zero vector, so that it remains zero when divided by its length."""
    x = x_ND.astype(np.float64)
    length_N = np.sqrt(np.einsum("nd,nd->n", x, x))
    return np.where(length_N > 0, length_N, 1.0)


def _blocks(n: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` rows that cover n rows."""
    return (slice(begin, min(begin + size, n)) for begin in range(0, n, size))
