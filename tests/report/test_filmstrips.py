"""Retrieval filmstrips show the queries and the neighbours found."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mofore.embedding.store import Embeddings
from mofore.frames.store import FrameStore
from mofore.report import filmstrips
from mofore.report.filmstrips import WIDTH, draw_filmstrips, fit_into_box
from mofore.report.queries import choose_examples
from tests.helpers.labelled_videos import make_videos, ten_classes
from tests.helpers.report_project import write_frames


@pytest.fixture
def many() -> Embeddings:
    return ten_classes()


def frames_of(videos: Embeddings, folder: Path, fps: float = 25.0) -> FrameStore:
    columns = {"video": videos.video, "label": videos.label, "group": videos.group, "split": videos.split}
    write_frames(folder / "frames", pd.DataFrame(columns), fps)
    return FrameStore(folder / "frames")


@pytest.mark.parametrize("side", ["train", "test"])
def test_empty_side_of_the_split_gives_a_picture_without_queries(side: str, tmp_path: Path) -> None:
    videos = make_videos(["a", "b"])
    videos.split[:] = side
    assert not choose_examples(videos, "hardest", seed=1).queries
    draw_filmstrips(videos, frames_of(videos, tmp_path), tmp_path / "strips.jpg", "hardest", seed=1)
    assert Image.open(tmp_path / "strips.jpg").width == WIDTH


def test_picture_shows_the_frames_of_query_and_neighbours(many: Embeddings, tmp_path: Path) -> None:
    frames = frames_of(many, tmp_path)
    draw_filmstrips(many, frames, tmp_path / "strips.jpg", "hardest", seed=1)
    with Image.open(tmp_path / "strips.jpg") as image:
        picture = np.asarray(image.convert("L")).astype(int)
    assert picture.shape[1] == 1600
    video_index = {name: i for i, name in enumerate(frames.table.video)}
    for row, query in enumerate(choose_examples(many, "hardest", seed=1).queries):
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
        draw_filmstrips(many, frames, tmp_path / name, "hardest", seed=1)
    assert (tmp_path / "first.jpg").read_bytes() == (tmp_path / "second.jpg").read_bytes()
    assert (tmp_path / "first.jpg").stat().st_size < 400_000


def test_names_of_any_kind_are_drawn(tmp_path: Path) -> None:
    videos = make_videos(["$x$", 'say "hi", then\nwave', "a" * 300, "_hidden"])
    draw_filmstrips(videos, frames_of(videos, tmp_path), tmp_path / "strips.jpg", "hardest", seed=1)
    assert Image.open(tmp_path / "strips.jpg").width == WIDTH


@pytest.mark.parametrize(("height", "width"), [(24, 32), (100, 20), (20, 100), (500, 700)])
def test_fit_into_box_keeps_the_aspect_ratio(height: int, width: int) -> None:
    box = fit_into_box(np.full((height, width, 3), 255, np.uint8), 90, 60)
    assert box.shape == (60, 90, 3)
    rows, columns = np.nonzero(box[:, :, 0] > 200)
    inner_height, inner_width = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert inner_height == 60 or inner_width == 90
    assert inner_width / inner_height == pytest.approx(width / height, rel=0.1)
