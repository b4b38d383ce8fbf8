"""Exact nearest neighbours: ours against faiss-cpu's flat index and scikit-learn's brute force.

    pip install -e .[bench]
    python benchmarks/knn.py [--queries 10000] [--gallery 100000] [--dim 512] [--k 50] [--turns 5] [--without sklearn]

All search the same random vectors of length 1, on all cores, and take turns in one run, so that other work on the
machine hits all alike; the median of each is compared. Ours scales the vectors all the same; faiss is spared that, and
its time to add the gallery counts. Memory is what one search adds to the peak of a process of its own (Linux). Ends
with one line of JSON.
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
RowArray = npt.NDArray[np.int64]


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
    """What a search adds to the peak memory of this process, in MB; the vectors are read before."""
    queries_ND, gallery_MD = np.load(folder / "queries.npy"), np.load(folder / "gallery.npy")
    WAYS[name](queries_ND[:2], gallery_MD[:100], 1)  # whatever a first call loads
    before = peak_mb()
    WAYS[name](queries_ND, gallery_MD, k)
    return peak_mb() - before


def peak_mb() -> float:
    """Of this process; getrusage would count its parent's in."""
    status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--gallery", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--k", type=int, default=50)
    parser.add_argument("--turns", type=int, default=5, help="turns of each way")
    parser.add_argument("--without", choices=list(WAYS), action="append", default=[], help="a way to leave out")
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
            began = time.perf_counter()
            found[name] = WAYS[name](queries_ND, gallery_MD, arguments.k)
            seconds[name].append(time.perf_counter() - began)
    median = {name: float(np.median(took)) for name, took in seconds.items()}
    same = {name: float((rows_NK == found[names[0]]).mean()) for name, rows_NK in found.items()}
    for name in names:
        print(
            f"{name:8}{median[name]:7.2f} s, {median[name] / median[names[0]]:5.2f} times {names[0]}'s; "
            f"{memory[name]:6.0f} MB; {same[name]:.3%} of the neighbours in {names[0]}'s place"
        )
    result = {
        "seconds": {name: round(value, 2) for name, value in median.items()},
        "times_as_fast": {name: round(median[name] / median[names[0]], 3) for name in names[1:]},
        "added_mb": {name: round(value) for name, value in memory.items()},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
