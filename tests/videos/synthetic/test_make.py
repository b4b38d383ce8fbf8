"""The demo data set: its layout, split lists, and reproducibility."""

import errno
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from mofore.videos.synthetic.actions import ACTIONS
from mofore.videos.synthetic.appearance import HEIGHT, WIDTH
from mofore.videos.synthetic.clip import FPS, sample_demo_clip
from mofore.videos.synthetic.make import make_demo

from .conftest import CLIPS, GROUPS, SEED

UCF_LISTS = Path(__file__).parents[4] / "shared" / "splits" / "ucfTrainTestlist"


def files(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def lines(root: Path, name: str) -> list[str]:
    return (root / "splits" / name).read_text().splitlines()


def test_layout_and_names_are_those_of_ucf101(demo: Path) -> None:
    found = {p.relative_to(demo / "videos").as_posix() for p in (demo / "videos").rglob("*.avi")}
    assert found == {
        f"{name}/v_{name}_g{group:02}_c{clip:02}.avi"
        for name in ACTIONS
        for group in range(1, GROUPS + 1)
        for clip in range(1, CLIPS + 1)
    }


def test_each_split_lists_every_video_once_under_its_class(demo: Path) -> None:
    classes = dict(line.split() for line in lines(demo, "classInd.txt"))
    assert classes == {str(i): name for i, name in enumerate(sorted(ACTIONS), 1)}
    videos = {p.relative_to(demo / "videos").as_posix() for p in (demo / "videos").rglob("*.avi")}
    for split in (1, 2, 3):
        test = lines(demo, f"testlist{split:02}.txt")
        train = [line.split() for line in lines(demo, f"trainlist{split:02}.txt")]
        assert sorted(test + [path for path, _ in train]) == sorted(videos)
        assert all(path.split("/")[0] == classes[label] for path, label in train)
        assert {path[-11:-8] for path in test} == {f"g{split:02}"}  # a quarter of 4 groups


@pytest.mark.slow
def test_split_tests_on_successive_quarters_of_the_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mofore.videos.synthetic.make.write_avi", lambda *_: None)
    make_demo(tmp_path, groups=9, clips=2, seed=1, workers=0)
    for split, groups in ((1, {1, 2}), (2, {3, 4}), (3, {5, 6})):
        assert {int(path[-10:-8]) for path in lines(tmp_path, f"testlist{split:02}.txt")} == groups
        train = lines(tmp_path, f"trainlist{split:02}.txt")
        assert {int(line.split()[0][-10:-8]) for line in train} == set(range(1, 10)) - groups


@pytest.mark.skipif(not UCF_LISTS.exists(), reason="needs the split lists of UCF101")
@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("classInd.txt", rb"(\d+ \w+\r\n)+"),
        ("trainlist01.txt", rb"(\w+/v_\w+_g\d\d_c\d\d\.avi \d+\r\n)+"),
        ("testlist01.txt", rb"(\w+/v_\w+_g\d\d_c\d\d\.avi\r\n)+"),
    ],
)
def test_lists_have_the_format_of_ucf101(demo: Path, name: str, form: bytes) -> None:
    for path in (UCF_LISTS / name, demo / "splits" / name):
        assert re.fullmatch(form, path.read_bytes())


@pytest.mark.slow
def test_files_depend_on_the_seed_but_not_on_the_number_of_workers(demo: Path, tmp_path: Path) -> None:
    made = files(demo)
    make_demo(tmp_path / "same", GROUPS, CLIPS, SEED, workers=0)
    assert files(tmp_path / "same") == made
    make_demo(tmp_path / "other", 1, 1, SEED + 1, workers=1)
    for path, data in files(tmp_path / "other" / "videos").items():
        assert data != made[f"videos/{path}"]


@pytest.mark.slow
def test_the_number_of_groups_and_clips_does_not_change_a_video(demo: Path, tmp_path: Path) -> None:
    make_demo(tmp_path, 1, 2, SEED, workers=0)
    made, more = files(demo / "videos"), files(tmp_path / "videos")
    assert all(made[path] == more[path] for path in made if "_g01_" in path)


@pytest.mark.slow
def test_opencv_decodes_all_frames_and_every_file_has_its_sampled_size(demo: Path) -> None:
    for index, name in enumerate(sorted(ACTIONS)):
        for group in range(1, GROUPS + 1):
            path = demo / "videos" / name / f"v_{name}_g{group:02}_c01.avi"
            clip = sample_demo_clip(np.random.default_rng(np.random.SeedSequence(SEED, spawn_key=(index, group, 1))))
            assert path.stat().st_size == clip.file_bytes  # if it were larger, its size would depend on the motion
            capture = cv2.VideoCapture(str(path))
            assert capture.get(cv2.CAP_PROP_FPS) == FPS
            shapes = []
            while (read := capture.read())[0]:
                shapes.append(read[1].shape)
            assert shapes == [(HEIGHT, WIDTH, 3)] * clip.frames


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("workers", [0, 2])
def test_full_disk_names_the_file(tmp_path: Path, workers: int) -> None:
    full = tmp_path / "videos" / "Bow" / "v_Bow_g01_c01.avi"
    full.parent.mkdir(parents=True)
    full.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        make_demo(tmp_path, 4, 1, SEED, workers)
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(full)
    assert len(list((tmp_path / "videos").rglob("*.avi"))) < 14 * 4  # the remaining tasks were cancelled
