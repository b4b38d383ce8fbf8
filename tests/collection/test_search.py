"""Search against a slow definition, and what a query is: rows of the table, or an embedded file."""

import os
from pathlib import Path

import numpy as np
import pytest

from mofore.collection import embed
from mofore.collection.search import Hit, search
from mofore.collection.table import VIDEO, WINDOW, Recipe, read_collection
from mofore.errors import UserError
from tests.helpers.collections import write_collection

FILES = [f"/videos/{name}.mp4" for name in "abcdefgh"]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Eight videos of six windows of 2 s, one a second, with a mean far from 0."""
    rng = np.random.default_rng(1)
    x_VD = (rng.standard_normal((8, 16)) * rng.uniform(0.1, 5, 16) + 50).astype(np.float32)
    write_collection(tmp_path / "t.parquet", FILES, x_VD, windows=6, spread=1.0, unreadable=["/videos/bad.mp4"])
    return tmp_path / "t.parquet"


def definition(
    table: Path, q: np.ndarray, kind: str, own: str, part: tuple[float, float], k: int
) -> list[tuple[str, float]]:
    rows = read_collection(table, kind)
    x = rows.x_NE.astype(np.float64)
    mean, std = x.mean(axis=0), x.std(axis=0)
    z, zq = (x - mean) / std, (q - mean) / std
    score = z @ zq / np.linalg.norm(z, axis=1) / np.linalg.norm(zq)
    taken = [(own, *part)]
    found = []
    for row in np.argsort(-score):
        file, start, end = rows.rows.file[row], rows.rows.start_s[row], rows.rows.end_s[row]
        if not any(
            file == other and start < other_end and end > other_start for other, other_start, other_end in taken
        ):
            taken.append((file, start, end))
            found.append((f"{file} {start:g}", float(score[row])))
    return found[:k]


def as_text(hits: list[Hit]) -> list[str]:
    return [f"{hit.file} {hit.start_s:g}" for hit in hits]


@pytest.mark.parametrize("k", [1, 5, 500])
def test_equals_the_definition(table: Path, k: int) -> None:
    videos = read_collection(table, VIDEO)
    wanted = definition(table, videos.x_NE[2], WINDOW, FILES[2], (0, 99), k)
    hits = search(table, Path(FILES[2]), k=k)
    assert as_text(hits) == [name for name, _ in wanted]
    np.testing.assert_allclose([hit.score for hit in hits], [score for _, score in wanted], atol=1e-5)


def test_finds_whole_videos(table: Path) -> None:
    videos = read_collection(table, VIDEO)
    wanted = definition(table, videos.x_NE[2], VIDEO, FILES[2], (0, 99), 7)
    assert as_text(search(table, Path(FILES[2]), k=9, whole_videos=True)) == [name for name, _ in wanted]


def test_a_part_is_the_mean_of_its_windows_and_is_not_found_itself(table: Path) -> None:
    windows = read_collection(table, WINDOW)
    own = windows.rows.file == FILES[0]
    x = windows.x_NE[own]  # windows 0-2, 1-3, 2-4, ...: the part 2-4 shares 1 s with 1-3, 2 s with 2-4, 1 s with 3-5
    q = (x[1] + 2 * x[2] + x[3]) / 4
    wanted = definition(table, q, WINDOW, FILES[0], (2, 4), 30)
    hits = search(table, Path(FILES[0]), 2, 4, k=30)
    assert as_text(hits) == [name for name, _ in wanted]
    assert any(hit.file == FILES[0] for hit in hits)
    assert not any(hit.file == FILES[0] and hit.start_s < 4 and hit.end_s > 2 for hit in hits)
    assert not any(hit.file == FILES[0] for hit in search(table, Path(FILES[0]), 2, 4, k=30, other_files=True))


def test_moments_of_one_file_do_not_overlap(table: Path) -> None:
    hits = search(table, Path(FILES[0]), k=500)
    for hit in hits:
        others = [other for other in hits if other.file == hit.file and other is not hit]
        assert all(other.end_s <= hit.start_s or other.start_s >= hit.end_s for other in others)
    assert len(hits) >= 2 * 7


def test_does_not_depend_on_row_groups(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    x_VD = (rng.standard_normal((8, 16)) * rng.uniform(0.1, 5, 16) + 50).astype(np.float32)
    monkeypatch.setattr("mofore.collection.table.ROWS_PER_GROUP", 5)
    write_collection(tmp_path / "small.parquet", FILES, x_VD, windows=6, spread=1.0)
    for start, end in ((None, None), (1.0, 3.0)):
        one, other = (search(path, Path(FILES[3]), start, end, 20) for path in (table, tmp_path / "small.parquet"))
        assert as_text(one) == as_text(other)


def test_a_changed_file_or_another_one_is_embedded(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file with other size or time than in the table is embedded anew; one that is unchanged is not."""
    file = tmp_path / "real.mp4"
    file.write_bytes(bytes(1000))
    x_VD = np.random.default_rng(0).standard_normal((3, 16)).astype(np.float32)
    recipe = Recipe(encoder="shipped", encoder_hash="h", window=2.0, step=1.0, clip={})
    write_collection(tmp_path / "r.parquet", [*FILES[:2], str(file)], x_VD, windows=2, recipe=recipe)
    os.utime(file, ns=(1, 1))
    asked = []

    class Loaded:
        hash, source = "h", "shipped"

    def fake_query(
        path: Path, encoder: object, start: float | None, end: float | None, window: float, step: float
    ) -> np.ndarray:
        asked.append((path, start, end, window, step))
        return x_VD[0]

    monkeypatch.setattr("mofore.collection.search.describe_encoder", lambda source: Loaded())
    monkeypatch.setattr(embed, "embed_query", fake_query)
    assert search(tmp_path / "r.parquet", file, k=1)[0].file != str(file)
    monkeypatch.chdir(tmp_path)
    assert search(tmp_path / "r.parquet", Path("real.mp4"), k=1)  # the same by a relative path
    assert asked == []
    os.utime(file, ns=(1, 2))
    assert search(tmp_path / "r.parquet", file, 0, 1, k=1)[0].file == FILES[0]
    assert asked == [(file, 0, 1, 2.0, 1.0)]


def test_another_encoder_is_refused(table: Path, tmp_path: Path) -> None:
    (tmp_path / "new.mp4").write_bytes(b"x")
    with pytest.raises(UserError, match=r"t.parquet: was made with another encoder \(shipped, 0123\)"):
        search(table, tmp_path / "new.mp4")
    gone = Recipe(encoder=str(tmp_path / "gone"), encoder_hash="h", window=2.0, step=1.0, clip={})
    write_collection(tmp_path / "g.parquet", FILES[:2], np.ones((2, 4), np.float32), recipe=gone)
    with pytest.raises(UserError, match=r"its encoder is not where it was: .*gone: no such folder.*--encoder"):
        search(tmp_path / "g.parquet", tmp_path / "new.mp4")


def test_bad_questions_get_one_line(table: Path, tmp_path: Path) -> None:
    for query, part, message in [
        ("/videos/none.mp4", (None, None), "none.mp4: no such file, and not a video of"),
        ("/videos/\udcff.mp4", (None, None), "no such file, and not a video of"),  # a name that is not UTF-8
        ("/videos/bad.mp4", (None, None), "bad.mp4: has no embedding: not a video"),
        (FILES[0], (3, 3), "the start must be at least 0 and before the end"),
        (FILES[0], (-1, 3), "the start must be at least 0"),
        (FILES[0], (60, None), "a.mp4: ends at 7.00 s, before the part that starts at 60 s"),
    ]:
        with pytest.raises(UserError, match=message) as caught:
            search(table, Path(query), *part)
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="ask for at least 1"):
        search(table, Path(FILES[0]), k=0)
    with pytest.raises(UserError, match="mofore embed"):
        search(tmp_path / "none.parquet", Path(FILES[0]))


def test_tables_of_one_video_or_of_equal_ones(tmp_path: Path) -> None:
    write_collection(tmp_path / "one.parquet", FILES[:1], np.ones((1, 4), np.float32), windows=1)
    assert search(tmp_path / "one.parquet", Path(FILES[0])) == []
    write_collection(tmp_path / "equal.parquet", FILES[:3], np.ones((3, 4), np.float32), windows=2, spread=0.0)
    hits = search(tmp_path / "equal.parquet", Path(FILES[0]), k=9)
    assert {hit.file for hit in hits} == set(FILES[1:3])
    assert all(np.isfinite(hit.score) for hit in hits)
