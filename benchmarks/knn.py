"""Time exact nearest-neighbour search: ours against faiss-cpu's flat index and scikit-learn's brute force.

    pip install -e '.[bench]'
    python benchmarks/knn.py [--queries 10000] [--gallery 100000] [--dim 512] [--k 50] [--turns 5] [--without sklearn]

All search the same random unit vectors on all cores by cosine similarity. They take turns in random order, so that
other work on the machine slows all of them alike. The medians are compared. Ours and scikit-learn normalise the vectors
again, which faiss need not do. For faiss the time to add the gallery to the index counts. Memory is the rise of the
peak resident memory during one search, in a process of its own (Linux only). The last line of the output is JSON.

Shapes: N queries, M gallery vectors, D dimensions, K neighbours.
"""

import argparse
import json
import multiprocessing
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
import numpy.typing as npt
from sklearn.neighbors import NearestNeighbors

from mofore.embedding.geometry import unit
from mofore.evaluation.nearest import nearest

FloatArray = npt.NDArray[np.float32]
RowArray = npt.NDArray[np.int64]  # rows of the gallery, nearest first


def ours(queries_ND: FloatArray, gallery_MD: FloatArray, k: int) -> RowArray:
    return nearest(queries_ND, gallery_MD, k)[0]


def faiss_flat(queries_ND: FloatArray, gallery_MD: FloatArray, k: int) -> RowArray:
    index = faiss.IndexFlatIP(gallery_MD.shape[1])
    index.add(gallery_MD)
    rows_NK: RowArray = index.search(queries_ND, k)[1]
    return rows_NK


def sklearn_brute(queries_ND: FloatArray, gallery_MD: FloatArray, k: int) -> RowArray:
    model = NearestNeighbors(n_neighbors=k, metric="cosine", algorithm="brute").fit(gallery_MD)
    rows_NK: RowArray = model.kneighbors(queries_ND, return_distance=False)
    return rows_NK


WAYS: dict[str, Callable[[FloatArray, FloatArray, int], RowArray]] = {
    "mofore": ours,
    "faiss": faiss_flat,
    "sklearn": sklearn_brute,
}


def added_mb(name: str, folder: Path, k: int) -> float:
    """MiB that one search adds to the peak memory of this process; the vectors are loaded before."""
    queries_ND, gallery_MD = np.load(folder / "queries.npy"), np.load(folder / "gallery.npy")
    WAYS[name](queries_ND[:2], gallery_MD[:100], 1)  # a first call loads libraries
    before = peak_mb()
    WAYS[name](queries_ND, gallery_MD, k)
    return peak_mb() - before


def peak_mb() -> float:
    """Peak resident memory of this process in MiB. getrusage would include the peak of its parent."""
    status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


def main() -> None:
    """Time all ways, measure their memory, and compare their results with ours."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=10_000, help="number of queries")
    parser.add_argument("--gallery", type=int, default=100_000, help="number of gallery vectors")
    parser.add_argument("--dim", type=int, default=512, help="dimensions of each vector")
    parser.add_argument("--k", type=int, default=50, help="neighbours of each query")
    parser.add_argument("--turns", type=int, default=5, help="how often each way is timed")
    parser.add_argument(
        "--without", choices=list(WAYS), action="append", default=[], help="leave out this way; repeatable"
    )
    arguments = parser.parse_args()
    names = [name for name in WAYS if name not in arguments.without]
    rng = np.random.default_rng(0)
    queries_ND, gallery_MD = (
        unit(rng.standard_normal((n, arguments.dim), dtype=np.float32)) for n in (arguments.queries, arguments.gallery)
    )

    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "queries.npy", queries_ND)
        np.save(Path(folder) / "gallery.npy", gallery_MD)
        memory = {}
        for name in names:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                memory[name] = pool.apply(added_mb, (name, Path(folder), arguments.k))

    seconds: dict[str, list[float]] = {name: [] for name in names}
    found: dict[str, RowArray] = {}
    for _ in range(arguments.turns):
        for name in random.sample(names, len(names)):
            start = time.perf_counter()
            found[name] = WAYS[name](queries_ND, gallery_MD, arguments.k)
            seconds[name].append(time.perf_counter() - start)
    median = {name: float(np.median(took)) for name, took in seconds.items()}
    same = {name: float((rows_NK == found[names[0]]).mean()) for name, rows_NK in found.items()}
    for name in names:
        print(
            f"{name:8}{median[name]:7.2f} s ({median[name] / median[names[0]]:5.2f} times {names[0]})   "
            f"{memory[name]:6.0f} MiB   {same[name]:.3%} of the neighbours equal those of {names[0]}"
        )
    result = {
        "seconds": {name: round(value, 2) for name, value in median.items()},
        "times_as_fast": {name: round(median[name] / median[names[0]], 3) for name in names[1:]},
        "added_mb": {name: round(value) for name, value in memory.items()},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
