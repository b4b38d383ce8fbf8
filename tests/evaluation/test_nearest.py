"""Nearest neighbours against a slow reference: ties, zero vectors, collapsed embeddings, all block sizes."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from mofore.errors import UserError
from mofore.evaluation import nearest as nearest_module
from mofore.evaluation.nearest import nearest

SIZES = st.fixed_dictionaries(
    {"QUERIES_PER_BLOCK": st.integers(1, 9), "GALLERY_PER_BLOCK": st.integers(1, 40), "SPARE": st.integers(0, 9)}
)


def slow_nearest(queries_ND: np.ndarray, gallery_MD: np.ndarray, k: int) -> tuple[list[list[int]], list[list[float]]]:
    def cosine(a: np.ndarray, b: np.ndarray) -> float:
        lengths = float(a @ a) ** 0.5 * float(b @ b) ** 0.5
        return float(np.float32(float(a @ b) / lengths)) if lengths else 0.0

    rows, similarities = [], []
    for query in queries_ND.astype(np.float64):
        similarity = [cosine(query, vector) for vector in gallery_MD.astype(np.float64)]
        order = sorted(range(len(similarity)), key=lambda row: (-similarity[row], row))[:k]
        rows.append(order)
        similarities.append([similarity[row] for row in order])
    return rows, similarities


def check(queries_ND: np.ndarray, gallery_MD: np.ndarray, k: int, sizes: dict[str, int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, size in sizes.items():
            patch.setattr(nearest_module, name, size)
        rows_NK, similarity_NK = nearest(queries_ND, gallery_MD, k)
    slow_rows, slow_similarity = slow_nearest(queries_ND, gallery_MD, k)
    assert rows_NK.tolist() == slow_rows
    assert similarity_NK.tolist() == slow_similarity


def drawn(seed: int, n: int, m: int, dim: int, spread: float) -> tuple[np.ndarray, np.ndarray]:
    """Random vectors; with a small spread all have nearly one direction, as embeddings of a collapsed encoder do."""
    rng = np.random.default_rng(seed)
    x = np.ones(dim) + spread * rng.normal(size=(n + m, dim))
    return x[:n].astype(np.float32), x[n:].astype(np.float32)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(SIZES, st.integers(0, 999), st.integers(1, 12), st.integers(1, 60), st.integers(1, 70))
def test_equals_the_definition_on_ties(sizes: dict[str, int], seed: int, n: int, m: int, k: int) -> None:
    """Vectors of a few small integers: many are equal, multiples of each other, opposite or zero."""
    rng = np.random.default_rng(seed)
    queries, gallery = (rng.integers(-1, 3, size=(rows, 3)).astype(np.float32) for rows in (n, m))
    check(queries, gallery, k, sizes)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(SIZES, st.integers(0, 999), st.sampled_from([1e-8, 1e-6, 1e-4, 1e-2, 1.0]), st.integers(1, 20))
def test_equals_the_definition_on_random_and_on_collapsed_vectors(
    sizes: dict[str, int], seed: int, spread: float, k: int
) -> None:
    check(*drawn(seed, 10, 80, 33, spread), k, sizes)


@pytest.mark.parametrize("rising", [True, False])
def test_a_gallery_in_the_order_of_similarity(rising: bool) -> None:
    """Each row is nearer than all rows before it, or less near."""
    angle = np.linspace(0, 3, 400)[:: -1 if rising else 1]
    gallery = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    check(np.array([[1, 0], [0, 1]], dtype=np.float32), gallery, 7, {"GALLERY_PER_BLOCK": 10, "SPARE": 2})


@pytest.mark.parametrize("k", [1, 50])
def test_equals_scikit_learn(k: int) -> None:
    queries, gallery = drawn(0, 700, 3000, 48, spread=2.0)
    rows, similarity = nearest(queries, gallery, k)
    model = NearestNeighbors(n_neighbors=k, metric="cosine", algorithm="brute").fit(gallery.astype(np.float64))
    distance, expected = model.kneighbors(queries.astype(np.float64))
    assert (rows == expected).mean() > 0.9999, "except for neighbours with equal similarity in float32"
    assert np.allclose(similarity, 1 - distance, atol=1e-6)


def test_equal_vectors_come_in_the_order_of_the_gallery() -> None:
    queries, gallery = np.ones((600, 20), np.float32), np.full((5000, 20), 0.3, np.float32)
    gallery[4000:] *= 7
    rows, similarity = nearest(queries, gallery, 30)
    assert (rows == np.arange(30)).all()
    assert (similarity == 1).all()


def test_no_queries_have_no_neighbours() -> None:
    rows, similarity = nearest(np.zeros((0, 4), np.float32), np.ones((9, 4), np.float32), 5)
    assert rows.shape == similarity.shape == (0, 5)


def test_inputs_are_not_changed() -> None:
    queries, gallery = drawn(0, 5, 20, 4, 1.0)
    before = queries.copy(), gallery.copy()
    nearest(queries, gallery, 3)
    assert (queries == before[0]).all()
    assert (gallery == before[1]).all()


class TestFaiss:
    def test_finds_most_of_the_nearest(self) -> None:
        pytest.importorskip("faiss")
        rng = np.random.default_rng(0)
        centres = rng.normal(size=(40, 24))
        queries, gallery = (
            (centres[rng.integers(40, size=n)] + 0.5 * rng.normal(size=(n, 24))).astype(np.float32) for n in (300, 8000)
        )
        rows, similarity = nearest(queries, gallery, 10, "faiss")
        exact_rows, exact_similarity = nearest(queries, gallery, 10)
        shared = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(rows, exact_rows, strict=True)])
        assert shared > 0.95
        assert (similarity <= exact_similarity + 1e-6).all()
        assert (np.diff(similarity, axis=1) <= 0).all()

    @pytest.mark.parametrize("m", [1, 5, 300])
    def test_small_galleries_are_searched_completely(self, m: int) -> None:
        pytest.importorskip("faiss")
        queries, gallery = drawn(1, 20, m, 8, 1.0)
        gallery[0] = 0
        rows, similarity = nearest(queries, gallery, m, "faiss")
        exact_rows, exact_similarity = nearest(queries, gallery, m)
        assert (np.sort(rows) == np.arange(m)).all()
        assert (rows == exact_rows).mean() > 0.99
        assert np.allclose(similarity, exact_similarity, atol=1e-6)

    def test_if_the_probed_lists_have_too_few_vectors_the_search_is_exact(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pytest.importorskip("faiss")
        monkeypatch.setattr(nearest_module, "LISTS_PROBED", 1)
        queries, gallery = drawn(2, 50, 2000, 8, 1.0)
        rows, _ = nearest(queries, gallery, 1500, "faiss")
        assert (rows == nearest(queries, gallery, 1500)[0]).all()

    def test_without_faiss_the_error_names_the_package_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "faiss", None)
        with pytest.raises(UserError, match=r"knn.index is 'faiss'.*pip install faiss-cpu$"):
            nearest(*drawn(0, 2, 3, 4, 1.0), 1, "faiss")
