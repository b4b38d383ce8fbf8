"""Copies are found among scenes that look alike; the threshold follows from the background; leaks across a split."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from mofore.collection import duplicate_check, duplicates
from mofore.collection.duplicates import find_duplicates
from mofore.collection.table import VIDEO, WINDOW, make_part, write_table
from mofore.errors import UserError
from tests.helpers.collections import RECIPE, write_collection
from tests.helpers.video_files import write_video

WINDOWS, HEIGHT, WIDTH = 6, 64, 86


def scene(room: int, action: int, t: int) -> np.ndarray:
    """A picture of a textured room, in which a bright spot is at a place that depends on action and time."""
    ground = np.random.default_rng(room).integers(0, 180, (6, 8)).astype(np.float32)
    image = cv2.resize(ground, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    x, y = np.random.default_rng([action, t]).uniform(0.2, 0.8, 2) * (WIDTH, HEIGHT)
    cv2.circle(image, (int(x), int(y)), 9, 255.0, -1)
    return np.clip(image, 0, 255).astype(np.uint8)


def jpeg(image: np.ndarray, quality: int = 75) -> bytes:
    out = io.BytesIO()
    Image.fromarray(image).save(out, "JPEG", quality=quality)
    return out.getvalue()


def cropped(image: np.ndarray) -> np.ndarray:
    return cv2.resize(image[3:-3, 5:-5], (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


CHANGES: dict[str, Callable[[np.ndarray], bytes]] = {
    "plain": lambda image: jpeg(image, 30),
    "mirrored": lambda image: jpeg(image[:, ::-1]),
    "cropped": lambda image: jpeg(cropped(image)),
    "both": lambda image: jpeg(cropped(image)[:, ::-1], 40),
}


def write_scenes(path: Path, scenes: dict[str, tuple[int, int, str]], windows: int = WINDOWS) -> Path:
    """A table in which each file shows an action in a room, changed in some way. Embeddings say nothing."""
    rng = np.random.default_rng(0)
    parts = []
    for size, (file, (room, action, how)) in enumerate(scenes.items()):
        change = CHANGES.get(how, jpeg)
        pictures = [change(scene(room, action, t)) for t in range(WINDOWS)]
        rows: dict[str, list[Any]] = {
            name: [None] * (windows + 1) for name in ("motion", "contrast", "frames", "fps", "width", "height")
        }
        rows |= {
            "file": [file] * (windows + 1),
            "kind": [WINDOW] * windows + [VIDEO],
            "start_s": [*map(float, range(windows)), 0.0],
            "end_s": [*(t + 2.0 for t in range(windows)), windows + 1.0],
            "picture": [*pictures[:windows], pictures[WINDOWS // 2]],
            "status": [*[None] * windows, "ok"],
            "reason": [*[None] * windows, ""],
            "size": [*[None] * windows, 1000 + size],
            "modified": [*[None] * windows, 1],
        }
        x_ND = rng.standard_normal((windows + 1, 8)).astype(np.float32)
        parts.append(make_part(rows, x_ND, [None] * (windows + 1)))
    write_table(path, RECIPE, parts)
    return path


def names(found: duplicates.Duplicates) -> set[tuple[str, str]]:
    stems = (sorted((Path(pair.first).stem, Path(pair.second).stem)) for pair in found.pairs)
    return {(first, second) for first, second in stems}


def test_copies_are_found_and_other_actions_in_the_same_room_are_not(tmp_path: Path) -> None:
    scenes = {f"/v/{room}-{action}.mp4": (room, 10 * room + action, "") for room in range(8) for action in range(4)}
    copies = {f"/v/{room}-0-{how}.mp4": (room, 10 * room, how) for room, how in enumerate(CHANGES)}
    found = find_duplicates(write_scenes(tmp_path / "t.parquet", scenes | copies))
    assert names(found) == {(f"{room}-0", f"{room}-0-{how}") for room, how in enumerate(CHANGES)}
    assert [pair.mirrored for pair in sorted(found.pairs, key=lambda pair: pair.first)] == [False, True, False, True]
    assert not any(pair.same_bytes or pair.leaky for pair in found.pairs)
    assert all(found.threshold <= pair.score <= 1 for pair in found.pairs)
    assert found.pairs == sorted(found.pairs, key=lambda pair: -pair.score)


def test_changes_are_compared_where_the_alignment_puts_them() -> None:
    """A spot of two pixels that jumps about, and the same one moved to the right by five."""
    a_MSS, b_MSS = (np.full((5, 32, 32), 100, np.uint8) for _ in range(2))
    for t, (y, x) in enumerate([(8, 8), (20, 12), (12, 20), (6, 16), (16, 6)]):
        a_MSS[t, y : y + 2, x : x + 2] = 255
        b_MSS[t, y : y + 2, x + 5 : x + 7] = 255
    moved, as_it_is = (np.array([[1, 0, dx], [0, 1, 0]], np.float32) for dx in (5, 0))
    agreement = duplicate_check.changes_agree(a_MSS, b_MSS, moved)
    assert agreement is not None
    assert agreement > 0.95
    assert (duplicate_check.changes_agree(a_MSS, b_MSS, as_it_is) or 0.0) < 0.2
    still_MSS = np.repeat(a_MSS[:1], 5, axis=0)
    assert duplicate_check.changes_agree(still_MSS, still_MSS, as_it_is) is None


def test_the_threshold_decides(tmp_path: Path) -> None:
    scenes = {f"/v/{n}.mp4": (n, n, "") for n in range(12)} | {"/v/0-copy.mp4": (0, 0, "cropped")}
    table = write_scenes(tmp_path / "t.parquet", scenes)
    assert len(find_duplicates(table, threshold=0.0).pairs) > 10
    assert find_duplicates(table, threshold=1.0).pairs == []
    with pytest.raises(UserError, match=r"threshold 1.5: give a number from 0 to 1"):
        find_duplicates(table, threshold=1.5)


@pytest.mark.parametrize("spread", [0.07, 0.15, 0.3])
def test_as_many_false_pairs_as_expected_exceed_the_threshold(spread: float) -> None:
    """Scores of different pairs whose z has an exponential tail: about FALSE_PAIRS of those tested exceed it."""
    rng = np.random.default_rng(3)
    beyond = []
    for _ in range(100):
        background = [(float(np.tanh(z)), True) for z in rng.exponential(spread, 2000)]
        limit = duplicates._threshold(background, True, 10_000)
        beyond.append(int((np.tanh(rng.exponential(spread, 10_000)) > limit).sum()))
    assert 0.5 < float(np.median(beyond)) <= 2


def test_a_few_copies_in_the_background_hardly_move_the_threshold() -> None:
    z = np.random.default_rng(3).exponential(0.15, 2000)
    clean = [(float(np.tanh(value)), True) for value in z]
    limit = duplicates._threshold(clean, True, 10_000)
    assert abs(duplicates._threshold(clean[:-10] + [(1.0, True)] * 10, True, 10_000) - limit) < 0.05


def test_the_threshold_has_a_floor() -> None:
    background = [(float(np.tanh(z)), True) for z in np.random.default_rng(3).exponential(0.02, 2000)]
    assert duplicates._threshold(background, True, 10_000) == duplicates.MIN_THRESHOLD


def test_many_copies_of_a_video_are_no_background() -> None:
    """Of 8 copies each is among the 5 nearest of some; the others are in one cluster with it."""
    near = [(i, i + step, False) for i in range(8) for step in (1, 2) if i + step < 8] + [(8, 9, False)]
    scores = [(0.95, True)] * (len(near) - 1) + [(0.3, True)]
    deep = [(0, 5, False), (1, 7, False), (0, 8, False), (8, 9, False)]
    assert duplicates._apart(deep, near, scores, 10) == [(0, 8, False), (8, 9, False)]
    assert duplicates._apart(deep, [], [], 10) == deep


def test_files_of_the_same_bytes_are_found_even_if_they_are_no_videos(tmp_path: Path) -> None:
    contents = {"a": b"x" * 1000, "b": b"y" * 1000, "c": b"x" * 1000, "bad1": b"z" * 10, "bad2": b"z" * 10, "gone": b""}
    paths = {name: tmp_path / f"{name}.mp4" for name in contents}
    for name, content in contents.items():
        if content:
            paths[name].write_bytes(content)
    x_VD = np.random.default_rng(0).standard_normal((4, 8)).astype(np.float32)
    usable = [str(paths[name]) for name in ("a", "b", "c", "gone")]
    unreadable = [str(paths[name]) for name in ("bad1", "bad2")]
    write_collection(tmp_path / "t.parquet", usable, x_VD, unreadable=unreadable)
    found = find_duplicates(tmp_path / "t.parquet")
    same = [pair for pair in found.pairs if pair.same_bytes]
    assert {(Path(pair.first).stem, Path(pair.second).stem) for pair in same} == {("a", "c"), ("bad1", "bad2")}
    assert found.pairs[: len(same)] == same
    assert [pair.similarity is None for pair in same] == [False, True]


def test_videos_with_few_windows_are_opened(tmp_path: Path) -> None:
    """Their middle pictures agree, but only one of them shows the same at other times."""
    levels = {"a": [30, 200, 90, 20, 160], "copy": [30, 200, 90, 20, 160], "other": [200, 20, 90, 160, 30]}
    for name, bars in levels.items():
        with cv2_writer(tmp_path / f"{name}.avi") as writer:
            for t in range(50):
                image = cv2.cvtColor(scene(1, 1, 0), cv2.COLOR_GRAY2BGR)
                image[40:, 20:70] = bars[t // 10]
                writer.write(image)
    files = {str(tmp_path / f"{name}.avi"): (1, 1, "") for name in levels}
    others = {f"/v/{n}.mp4": (n, n, "") for n in range(2, 9)}
    table = write_scenes(tmp_path / "t.parquet", files | others, windows=1)
    assert names(find_duplicates(table)) == {("a", "copy")}


class cv2_writer:  # noqa: N801 # as a function
    def __init__(self, path: Path) -> None:
        self.writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (WIDTH, HEIGHT))

    def __enter__(self) -> cv2.VideoWriter:
        return self.writer

    def __exit__(self, *_: object) -> None:
        self.writer.release()


def test_pairs_across_a_split_are_leaks(tmp_path: Path) -> None:
    scenes = {str(tmp_path / f"{side}/{n}.mp4"): (n, n, "") for n in range(6) for side in ("one", "two")}
    table = write_scenes(tmp_path / "t.parquet", scenes | {str(tmp_path / "free.mp4"): (0, 0, "cropped")})
    by_folder = find_duplicates(table, splits=[tmp_path / "one", tmp_path / "two"])
    leaks = {Path(pair.first).name for pair in by_folder.pairs if pair.leaky}
    assert leaks == {f"{n}.mp4" for n in range(6)}
    assert all(not pair.leaky for pair in by_folder.pairs if "free" in pair.first + pair.second)
    assert any("free" in pair.first + pair.second for pair in by_folder.pairs)
    lines = [
        f"{side}/{n}.mp4,{'test' if n == 3 and side == 'two' else 'train'}" for n in range(6) for side in ("one", "two")
    ]
    (tmp_path / "videos.csv").write_text("path,split\n" + "\n".join(lines) + "\n")
    by_list = find_duplicates(table, splits=tmp_path / "videos.csv")
    (leak,) = [pair for pair in by_list.pairs if pair.leaky]
    assert leak.sides == ("train", "test")
    assert leak.first.endswith("one/3.mp4")
    assert by_list.notes == [f"1 video of the table is on no side of the split: {tmp_path}/free.mp4"]


def test_identical_files_leak_across_the_split_however_many_there_are(tmp_path: Path) -> None:
    names = [f"{side}/{number}.mp4" for side in ("none", "test", "train") for number in range(8)]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"z" * 10)
    files = [str(tmp_path / name) for name in names]
    write_collection(tmp_path / "t.parquet", ["/v/a.mp4"], np.ones((1, 4), np.float32), unreadable=files)
    found = find_duplicates(tmp_path / "t.parquet", splits=[tmp_path / "test", tmp_path / "train"]).pairs
    leaking = {file for pair in found if pair.leaky for file in (pair.first, pair.second)}
    assert leaking == set(files[8:])
    assert {file for pair in found for file in (pair.first, pair.second)} == set(files)
    assert len(found) < 3 * len(files)


def test_small_tables_have_no_pairs(tmp_path: Path) -> None:
    write_collection(tmp_path / "one.parquet", ["/v/a.mp4"], np.ones((1, 4), np.float32), windows=1)
    assert find_duplicates(tmp_path / "one.parquet").pairs == []
    file = write_video(tmp_path / "v.avi")
    write_collection(tmp_path / "two.parquet", [str(file), "/v/b.mp4"], np.eye(2, 4, dtype=np.float32), windows=0)
    assert find_duplicates(tmp_path / "two.parquet").pairs == []
