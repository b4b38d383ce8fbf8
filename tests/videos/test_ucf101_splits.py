"""Reading UCF101's split lists, small ones and the official ones."""

from pathlib import Path

import pytest

from mofore.catalog import Video
from mofore.errors import UserError
from mofore.videos.ucf101_splits import read_split
from tests.helpers.video_files import SHARED

OFFICIAL = SHARED / "splits" / "ucfTrainTestlist"


def test_train_then_test_with_label_and_group(tmp_path: Path) -> None:
    # The official files have CR LF line ends, and one class is spelt in two ways.
    (tmp_path / "trainlist02.txt").write_bytes(b"HandstandPushups/v_HandStandPushups_g08_c01.avi 37\r\n")
    (tmp_path / "testlist02.txt").write_bytes(b"Bow/v_Bow_g08_c12.avi\r\n\r\n")
    assert read_split(tmp_path, 2) == [
        Video("HandstandPushups/v_HandStandPushups_g08_c01.avi", "HandstandPushups", "HandstandPushups_g08", "train"),
        Video("Bow/v_Bow_g08_c12.avi", "Bow", "Bow_g08", "test"),
    ]


@pytest.mark.parametrize("line", ["v_Bow_g08_c01.avi 1", "Bow/v_Bow_c01.avi 1", "Bow/v_Bow_g08_c01.avi x"])
def test_a_line_of_another_format_is_reported(tmp_path: Path, line: str) -> None:
    (tmp_path / "trainlist01.txt").write_text(f"Bow/v_Bow_g08_c01.avi 1\n{line}\n")
    with pytest.raises(UserError, match=rf"trainlist01\.txt: line 2: '{line}'"):
        read_split(tmp_path, 1)


def test_a_missing_list_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"trainlist03\.txt: no such file"):
        read_split(tmp_path, 3)


@pytest.mark.skipif(not OFFICIAL.exists(), reason="the official lists are not on this machine")
@pytest.mark.parametrize(("split", "train", "test"), [(1, 9537, 3783), (2, 9586, 3734), (3, 9624, 3696)])
def test_official_lists(split: int, train: int, test: int) -> None:
    videos = read_split(OFFICIAL, split)
    sides = {side: [video for video in videos if video.split == side] for side in ("train", "test")}
    assert (len(sides["train"]), len(sides["test"])) == (train, test)
    assert len({video.path for video in videos}) == 13320
    assert len({video.label for video in videos}) == 101
    assert len({video.group for video in videos}) == 25 * 101
    assert not {video.group for video in sides["train"]} & {video.group for video in sides["test"]}
