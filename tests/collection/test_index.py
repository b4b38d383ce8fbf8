"""The index against the exact search, and when it is made anew."""

import errno
import re
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from mofore.collection import index
from mofore.collection import search as module
from mofore.collection.search import Hit, search
from mofore.collection.table import VIDEO, WINDOW
from mofore.collection.vectors import Block, read_blocks
from mofore.errors import UserError
from tests.helpers.collections import write_collection

pytest.importorskip("faiss")
FILES = [f"/videos/{number:04d}.mp4" for number in range(400)]


def vectors(seed: int = 1) -> npt.NDArray[np.float32]:
    """400 videos around 20 centres, with a mean far from 0 and features of very different size."""
    rng = np.random.default_rng(seed)
    centre = rng.standard_normal((20, 32))
    x_VD = centre[np.arange(400) % 20] + 0.5 * rng.standard_normal((400, 32))
    return np.asarray(x_VD * rng.uniform(0.1, 5, 32) + 50, np.float32)


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table of 400 videos of 20 windows, in which search uses an index that probes few of its lists."""
    monkeypatch.setattr(module, "EXACT_ROWS", 1000)
    monkeypatch.setattr(index, "LISTS_PROBED", 16)
    path = tmp_path / "t.parquet"
    write_collection(path, FILES, vectors(), windows=20, spread=1.0, unreadable=["/videos/bad.mp4"])
    return path


def names(hits: list[Hit]) -> set[str]:
    return {f"{hit.file} {hit.start_s:g}" for hit in hits}


def test_finds_what_the_exact_search_finds(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = wanted = 0
    for query in FILES[:20]:
        approximate, exact = search(table, Path(query), k=10), search(table, Path(query), k=10, exact=True)
        found += len(names(approximate) & names(exact))
        wanted += len(exact)
        by_name = {(hit.file, hit.start_s): hit.score for hit in exact}
        for hit in approximate:
            assert hit.score == pytest.approx(by_name.get((hit.file, hit.start_s), hit.score), abs=0.01)
        assert [hit.score for hit in approximate] == sorted((hit.score for hit in approximate), reverse=True)
    assert found >= 0.9 * wanted
    assert capsys.readouterr().err.count("making an index once") == 1


@pytest.mark.parametrize("kind", [VIDEO, WINDOW])
def test_gives_places_of_its_rows(table: Path, kind: str) -> None:
    """A query that is a row finds that row first, with a score of 1, wherever in the table it is."""
    from mofore.collection.table import read_collection

    rows = read_collection(table, kind)
    for number in (0, 7, len(rows) - 1):
        found = index.indexed_scores(table, kind, rows.x_NE[number], 50, quiet=True)
        assert found is not None
        places, score_K = found
        best = int(score_K.argmax())
        place = places.slice(best, 1).to_pylist()[0]
        assert place == {name: rows.rows[name][number] for name in ("file", "start_s", "end_s")}
        assert score_K[best] == pytest.approx(1, abs=0.01)


def test_finds_whole_videos(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of which there are fewer than rows, so there are fewer lists."""
    monkeypatch.setattr(index, "LISTS_PROBED", 8)
    found = 0
    for query in FILES[:20]:
        approximate, exact = (search(table, Path(query), whole_videos=True, exact=exact) for exact in (False, True))
        found += len(names(approximate) & names(exact))
    assert found >= 0.9 * 200


def test_reads_all_rows_where_no_index_can_be_written(
    table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = search(table, Path(FILES[0]), exact=True)

    def locked(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(table))

    monkeypatch.setattr(index, "locked", locked)
    assert search(table, Path(FILES[0])) == wanted
    assert "no index can be made" in capsys.readouterr().err


def test_reads_all_rows_if_the_table_is_replaced_meanwhile(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    search(table, Path(FILES[0]))
    places = index._places

    def replaced(*words: Any) -> Any:
        write_collection(table, FILES[:40], vectors()[:40], windows=30)
        return places(*words)

    monkeypatch.setattr(index, "_places", replaced)
    assert search(table, Path(FILES[0])) == search(table, Path(FILES[0]), exact=True)


def test_making_it_keeps_few_blocks_of_the_table_in_memory(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    most = 0
    seen: list[weakref.ref[npt.NDArray[np.float32]]] = []

    def watched(*given: Any) -> Iterator[Block]:
        nonlocal most
        for block in read_blocks(*given):
            for rows in np.array_split(np.arange(len(block.row_N)), 10):
                part = Block(block.row_N[rows], block.place.take(rows), block.x_ND[rows])
                seen.append(weakref.ref(part.x_ND))
                most = max(most, sum(reference() is not None for reference in seen))
                yield part

    monkeypatch.setattr(index, "read_blocks", watched)
    search(table, Path(FILES[0]), k=10)
    assert len(seen) >= 20
    assert most <= 3


def test_is_made_anew_when_the_table_has_changed(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    search(table, Path(FILES[0]))
    write_collection(table, FILES, vectors(seed=2), windows=20, spread=1.0)
    hits, exact = search(table, Path(FILES[0]), k=10), search(table, Path(FILES[0]), k=10, exact=True)
    assert len(names(hits) & names(exact)) >= 8
    assert capsys.readouterr().err.count("making an index once") == 2


@pytest.mark.parametrize("damage", [b"", b"not an index"])
def test_is_made_anew_when_its_scale_is_damaged(table: Path, damage: bytes) -> None:
    wanted = search(table, Path(FILES[0]))
    (table.with_name("t.parquet.index") / "window.npz").write_bytes(damage)
    assert search(table, Path(FILES[0])) == wanted


def test_reads_all_rows_if_candidates_overlap(table: Path) -> None:
    search(table, Path(FILES[0]), k=10**15)
    assert search(table, Path(FILES[0]), k=3000) == search(table, Path(FILES[0]), k=3000, exact=True)


def test_reads_all_rows_of_small_tables(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EXACT_ROWS", 1_000_000)
    search(table, Path(FILES[0]))
    assert not table.with_name("t.parquet.index").exists()


def test_reads_all_rows_without_faiss_and_says_so(
    table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "has_faiss", lambda: False)
    search(table, Path(FILES[0]))
    assert not table.with_name("t.parquet.index").exists()
    assert re.fullmatch(r"search: comparing all .* rows: .* pip install 'mofore\[index\]'\n", capsys.readouterr().err)
    search(table, Path(FILES[0]), quiet=True)
    search(table, Path(FILES[0]), exact=True)
    assert capsys.readouterr().err == ""


def test_damaged_index_is_one_line(table: Path) -> None:
    search(table, Path(FILES[0]))
    (table.with_name("t.parquet.index") / "window.faiss").write_bytes(b"not an index")
    with pytest.raises(UserError, match=r"window.faiss.*delete"):
        search(table, Path(FILES[0]))


def test_a_table_without_embeddings_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EXACT_ROWS", 1)
    write_collection(tmp_path / "n.parquet", FILES[:2], vectors()[:2], unreadable=["/videos/bad.mp4"])
    with pytest.raises(UserError, match="has no window with an embedding"):
        search(tmp_path / "n.parquet", Path(FILES[0]))


def test_embeddings_that_are_not_finite_are_told(tmp_path: Path) -> None:
    x_VD = vectors()
    x_VD[3, 5] = np.nan
    write_collection(tmp_path / "n.parquet", FILES, x_VD, windows=2)
    with pytest.raises(UserError, match="not finite"):
        search(tmp_path / "n.parquet", Path(FILES[0]))
