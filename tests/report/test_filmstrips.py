"""Retrieval filmstrips choose the queries by their rule and show the neighbours found."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mofore.embedding.store import Embeddings
from mofore.frames.store import FrameStore
from mofore.report import filmstrips
from mofore.report.filmstrips import NEIGHBOURS, QUERIES, WIDTH, choose_examples, draw_filmstrips, fit_into_box
from tests.helpers.report_project import write_frames

HARD, HALF = "hard", "half"


def make(labels: list[str], videos: int = 4, unlabelled: bool = False) -> Embeddings:
    """Videos of each class on both sides of the split, near a unit vector of the class, with a little noise."""
    rng = np.random.default_rng(0)
    label, split = (
        part.reshape(-1) for part in np.meshgrid(np.repeat(labels, videos), ["train", "test"], indexing="ij")
    )
    centre_CD = np.eye(len(labels))
    x_ND = centre_CD[[labels.index(name) for name in label]] + 0.05 * rng.normal(size=(len(label), len(labels)))
    video = np.array([f"{name}/{i}.avi" for i, name in enumerate(label)])
    return Embeddings(x_ND.astype(np.float32), video, np.full_like(label, "") if unlabelled else label, video, split)


def misplace(videos: Embeddings, label: str, share: float, onto: str) -> None:
    """Move a share of the test videos of `label` onto training videos of the class `onto`."""
    test = np.flatnonzero((videos.label == label) & (videos.split == "test"))
    others = np.flatnonzero((videos.label == onto) & (videos.split == "train"))
    test = test[: round(share * len(test))]
    videos.x_ND[test] = videos.x_ND[others[: len(test)]]


@pytest.fixture
def many() -> Embeddings:
    """Ten classes. Retrieval is wrong for all test videos of HARD, for half of HALF, and for none of the rest."""
    videos = make([HARD, HALF, *(f"easy{i}" for i in range(8))])
    misplace(videos, HARD, 1, "easy7")
    misplace(videos, HALF, 0.5, "easy7")
    return videos


def frames_of(videos: Embeddings, folder: Path, fps: float = 25.0) -> FrameStore:
    columns = {"video": videos.video, "label": videos.label, "group": videos.group, "split": videos.split}
    write_frames(folder / "frames", pd.DataFrame(columns), fps)
    return FrameStore(folder / "frames")


def test_one_query_of_each_of_the_hardest_classes_hardest_first(many: Embeddings) -> None:
    examples = choose_examples(many, seed=1)
    assert [query.label for query in examples.queries] == [HARD, HALF, *(f"easy{i}" for i in range(6))]
    assert "8 of 10 classes" in examples.choice
    assert "40 test videos, 85%" in examples.choice, "the nearest neighbour is right for 34 of 40"


@pytest.mark.slow
def test_choice_within_a_class_ignores_whether_retrieval_is_right(many: Embeddings) -> None:
    shown = [choose_examples(many, seed).queries[1] for seed in range(40)]
    right = [bool(query.right_K[0]) for query in shown if query.right_K is not None]
    assert {query.video for query in shown} == set(
        many.labelled("test").rows(many.labelled("test").label == HALF).video
    )
    assert 8 <= sum(right) <= 32, "half of the class is right"
    assert choose_examples(many, seed=3).queries[1].video == choose_examples(many, seed=3).queries[1].video


def test_neighbours_are_the_nearest_training_videos_marked_by_their_class(many: Embeddings) -> None:
    train = many.labelled("train")
    unit = train.x_ND / np.linalg.norm(train.x_ND, axis=1, keepdims=True)
    for query in choose_examples(many, seed=1).queries:
        x = many.x_ND[many.video == query.video][0]
        cosine = unit @ x / np.linalg.norm(x)
        order = np.argsort(-cosine)[:NEIGHBOURS]
        assert list(query.videos_K) == list(train.video[order])
        assert query.similarity_K == pytest.approx(cosine[order], abs=1e-5)
        assert query.right_K is not None
        assert list(query.right_K) == list(train.label[order] == query.label)


def test_few_classes_give_several_queries_each() -> None:
    examples = choose_examples(make(["a", "b", "c"]), seed=1)
    labels = [query.label for query in examples.queries]
    assert len(labels) == QUERIES
    assert sorted(labels) == ["a"] * 3 + ["b"] * 3 + ["c"] * 2
    assert len({query.video for query in examples.queries}) == QUERIES
    assert "harder than average" not in examples.choice


def test_all_videos_are_shown_if_there_are_few() -> None:
    examples = choose_examples(make(["a", "b"], videos=1), seed=1)
    assert len(examples.queries) == 2
    assert all(len(query.videos_K) == 2 for query in examples.queries)


@pytest.mark.parametrize("videos", [make(["a", "b", "c"], unlabelled=True), make(["only"], videos=12)])
def test_neighbours_are_not_marked_without_two_classes(videos: Embeddings) -> None:
    examples = choose_examples(videos, seed=1)
    assert len(examples.queries) == QUERIES
    assert all(query.right_K is None for query in examples.queries)
    assert "no labels" in examples.choice


@pytest.mark.parametrize("side", ["train", "test"])
def test_empty_side_of_the_split_gives_a_picture_without_queries(side: str, tmp_path: Path) -> None:
    videos = make(["a", "b"])
    videos.split[:] = side
    assert not choose_examples(videos, seed=1).queries
    draw_filmstrips(videos, frames_of(videos, tmp_path), tmp_path / "strips.jpg", seed=1)
    assert Image.open(tmp_path / "strips.jpg").width == WIDTH


def test_picture_shows_the_frames_of_query_and_neighbours(many: Embeddings, tmp_path: Path) -> None:
    frames = frames_of(many, tmp_path)
    draw_filmstrips(many, frames, tmp_path / "strips.jpg", seed=1)
    with Image.open(tmp_path / "strips.jpg") as image:
        picture = np.asarray(image.convert("L")).astype(int)
    assert picture.shape[1] == 1600
    video_index = {name: i for i, name in enumerate(frames.table.video)}
    for row, query in enumerate(choose_examples(many, seed=1).queries):
        for column, video in enumerate([query.video, *query.videos_K[: filmstrips.SHOWN_NEIGHBOURS]]):
            top = filmstrips.HEADER_H + row * filmstrips.ROW_H + 26
            left = filmstrips.MARGIN + column * (filmstrips.STRIP_W + filmstrips.STRIP_GAP)
            last_frame = picture[top : top + filmstrips.FRAME_H, left + filmstrips.STRIP_W - filmstrips.FRAME_W :][
                10:60, 4:20
            ]
            assert np.median(last_frame) == pytest.approx(video_index[str(video)] % 200, abs=3), (
                "the gray level of a video is its number"
            )


@pytest.mark.slow
def test_same_input_gives_same_bytes_and_a_small_file(many: Embeddings, tmp_path: Path) -> None:
    frames = frames_of(many, tmp_path)
    for name in ("first.jpg", "second.jpg"):
        draw_filmstrips(many, frames, tmp_path / name, seed=1)
    assert (tmp_path / "first.jpg").read_bytes() == (tmp_path / "second.jpg").read_bytes()
    assert (tmp_path / "first.jpg").stat().st_size < 400_000


def test_names_of_any_kind_are_drawn(tmp_path: Path) -> None:
    videos = make(["$x$", 'say "hi", then\nwave', "a" * 300, "_hidden"])
    draw_filmstrips(videos, frames_of(videos, tmp_path), tmp_path / "strips.jpg", seed=1)
    assert Image.open(tmp_path / "strips.jpg").width == WIDTH


@pytest.mark.parametrize(("height", "width"), [(24, 32), (100, 20), (20, 100), (500, 700)])
def test_fit_into_box_keeps_the_aspect_ratio(height: int, width: int) -> None:
    box = fit_into_box(np.full((height, width, 3), 255, np.uint8), 90, 60)
    assert box.shape == (60, 90, 3)
    rows, columns = np.nonzero(box[:, :, 0] > 200)
    inner_height, inner_width = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert inner_height == 60 or inner_width == 90
    assert inner_width / inner_height == pytest.approx(width / height, rel=0.1)
