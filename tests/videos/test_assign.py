"""Label, group and split of each video, by the source's lists, by group or at random."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mofore.catalog import Video, VideoFile, write_video_list
from mofore.config import Params
from mofore.errors import UserError
from mofore.videos.assign import assign
from mofore.videos.grouping import add_groups_and_splits, random_split

PATHS_AND_GROUPS = st.dictionaries(
    st.sampled_from([f"{label}/{i}.mp4" for label in "ab" for i in range(10)]), st.sampled_from(["", *"wxyz"])
)


@settings(max_examples=50, deadline=None)
@given(PATHS_AND_GROUPS, st.integers(0, 9))
def test_completed_videos_have_group_and_split(groups: dict[str, str], seed: int) -> None:
    given_videos = [Video(path, path[0], group, "") for path, group in sorted(groups.items())]
    if len({group or path for path, group in groups.items()}) < 2:
        return
    videos = add_groups_and_splits(given_videos, Path("own"), 1, seed)
    assert [(video.path, video.label) for video in videos] == [(video.path, video.label) for video in given_videos]
    assert all(video.group == (groups[video.path] or video.path) for video in videos)
    assert len({(video.group, video.split) for video in videos}) == len({video.group for video in videos})
    assert {video.split for video in videos} == {"train", "test"}


def test_impossible_splits() -> None:
    own = Path("own")
    with pytest.raises(UserError, match="own: all videos are in one group"):
        add_groups_and_splits([Video("1.mp4", "", "g", ""), Video("2.mp4", "", "g", "")], own, 1, 0)
    with pytest.raises(UserError, match=r"data\.split is 3, but the videos have only 2 groups"):
        add_groups_and_splits([Video("1.mp4", "", "", ""), Video("2.mp4", "", "", "")], own, 3, 0)
    with pytest.raises(UserError, match=r"own/videos\.csv: all videos have split test"):
        add_groups_and_splits([Video("1.mp4", "", "g", "test")], own, 1, 0)
    with pytest.raises(UserError, match=r"data\.split is random, but there is only one video"):
        random_split([Video("1.mp4", "", "g", "train")], 0)


LISTED = ["Bow/v_Bow_g03_c01.avi", "Bow/v_Bow_g04_c01.avi", "squat/v_Squat_g03_c02.avi"]


@pytest.fixture
def listed(params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """A project with UCF101-like videos, one folder of which is spelt differently from the lists."""
    monkeypatch.chdir(tmp_path)
    params.data.source = "ucf101"
    write_video_list([VideoFile(path, 1, path) for path in LISTED])
    Path("data/raw/splits").mkdir()
    Path("data/raw/splits/trainlist01.txt").write_text("Squat/v_Squat_g03_c02.avi 2\nBow/v_Bow_g03_c01.avi 1\n")
    Path("data/raw/splits/testlist01.txt").write_text("Bow/v_Bow_g04_c01.avi\n")
    Path("data/raw/splits/trainlist02.txt").write_text("Bow/v_Bow_g04_c01.avi 1\nSquat/v_Squat_g03_c02.avi 2\n")
    Path("data/raw/splits/testlist02.txt").write_text("Bow/v_Bow_g03_c01.avi\n")
    return params


@pytest.mark.parametrize(("split", "test"), [(1, LISTED[1]), (2, LISTED[0])])
def test_ucf101s_lists_give_label_group_and_split(listed: Params, split: int, test: str) -> None:
    listed.data.split = split
    videos, grouped = assign(listed)
    assert videos == grouped
    assert [video.path for video in videos] == LISTED
    assert [video.label for video in videos] == ["Bow", "Bow", "Squat"]
    assert [video.group for video in videos] == ["Bow_g03", "Bow_g04", "Squat_g03"]
    assert [video.path for video in videos if video.split == "test"] == [test]


def test_a_video_that_is_in_no_list_is_named(listed: Params) -> None:
    write_video_list([VideoFile("Bow/v_Bow_g09_c01.avi", 1, "x")])
    with pytest.raises(UserError, match=r"v_Bow_g09_c01\.avi: no longer in the lists of split 1 in data/raw/splits"):
        assign(listed)


def test_the_random_split_keeps_the_grouped_one_beside_it(listed: Params) -> None:
    grouped = assign(listed)[1]
    listed.data.split = "random"
    videos, beside = assign(listed)
    assert beside == grouped
    assert [(v.path, v.label) for v in videos] == [(v.path, v.label) for v in grouped]
    assert [v.group for v in videos] == LISTED


@settings(max_examples=50)
@given(st.integers(2, 200), st.integers(0, 9))
def test_the_random_split_tests_on_a_fifth_of_the_videos(n_videos: int, seed: int) -> None:
    videos = [Video(f"{number}.mp4", "", "one recording", "train") for number in range(n_videos)]
    drawn = random_split(videos, seed)
    assert sum(video.split == "test" for video in drawn) == max(1, round(n_videos / 5))
    assert random_split(videos, seed) == drawn
    if n_videos > 20:
        assert random_split(videos, seed + 1) != drawn


def test_a_folder_is_split_by_group_or_as_its_table_says(
    params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    params.data.source, params.data.path = "folder", "own"
    names = [f"{label}/{number}.mp4" for label in "ab" for number in range(4)]
    for name in names:
        Path("own", name).parent.mkdir(parents=True, exist_ok=True)
        Path("own", name).touch()
    write_video_list([VideoFile(name, 0, "") for name in names])
    videos, _ = assign(params)
    assert [(v.path, v.label, v.group) for v in videos] == [(name, name[0], name) for name in names]
    assert {v.split for v in videos} == {"train", "test"}
    lines = [f"{name},g{name[2]},{'test' if name[2] == '3' else 'train'}\n" for name in names]
    Path("own/videos.csv").write_text("path,group,split\n" + "".join(lines))
    videos, _ = assign(params)
    assert [v.path for v in videos if v.split == "test"] == ["a/3.mp4", "b/3.mp4"]
    Path("own/a/0.mp4").unlink()
    Path("own/videos.csv").write_text("path,group,split\n" + "".join(lines[1:]))
    with pytest.raises(UserError, match=r"a/0\.mp4: no longer in the folder own: run `dvc repro` again"):
        assign(params)
