"""Which videos files, folders and patterns name, and what is left out."""

import os
from pathlib import Path

import pytest

from mofore.collection.find import find_videos
from mofore.errors import UserError
from tests.helpers.video_files import bound_by_permissions


@pytest.fixture
def videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, the working folder: videos in sub-folders and outside, texts, and a table."""
    for name in ("a/one.avi", "a/notes.txt", "b/two ü.avi", "short.avi", "stream.h264", "none.mp4", "t.parquet"):
        (tmp_path / "videos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "videos" / name).touch()
    monkeypatch.chdir(tmp_path / "videos")
    return tmp_path / "videos"


def names(found: list[Path]) -> list[str]:
    return [path.name for path in found]


def test_rows_are_in_the_order_of_paths_as_text(tmp_path: Path) -> None:
    for name in ("b/1.mp4", "b-2.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert find_videos([tmp_path]) == [tmp_path / "b-2.mp4", tmp_path / "b/1.mp4"]


def test_patterns_files_and_folders(videos: Path, tmp_path: Path) -> None:
    one, two = videos / "a" / "one.avi", videos / "b" / "two ü.avi"
    assert find_videos(["a", "a/one.avi", str(one)]) == [one]
    assert find_videos(["**/*o*.avi"]) == [one, two, videos / "short.avi"]
    assert find_videos(["a/notes.txt"]) == [videos / "a/notes.txt"], "a file that is named is tried"
    (tmp_path / "[odd] name*.avi").write_bytes(b"")
    assert find_videos([tmp_path / "[odd] name*.avi"]) == [tmp_path / "[odd] name*.avi"], "a name is no pattern"
    for wrong, message in ((["gone.mp4"], "no such file"), ([], "no video: give files"), (["x*"], "no file matches")):
        with pytest.raises(UserError, match=message):
            find_videos(wrong)


def test_of_a_pattern_files_count_by_suffix_unless_it_names_one(
    videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert names(find_videos(["**"])) == names(find_videos(["."])) == ["one.avi", "two ü.avi", "none.mp4", "short.avi"]
    assert names(find_videos(["*.avi*"])) == ["short.avi"]
    assert names(find_videos(["*.h264"])) == ["stream.h264"]
    assert capsys.readouterr().err == "", "as for folders"
    with pytest.raises(UserError, match=r"a/n\*: no file that it matches has the suffix of a video: name the file"):
        find_videos(["a/n*"])


def test_of_what_a_shell_expands_only_videos_are_taken(videos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (videos / "empty").mkdir()
    assert find_videos(sorted(os.listdir())) == find_videos(["."])
    assert capsys.readouterr().err.splitlines() == [
        "warning: 2 files left out, without the suffix of a video; to try one, give it alone: "
        f"{videos}/stream.h264, {videos}/t.parquet",
        "warning: 1 folder left out, without videos: empty",
    ]
    both = ["stream.h264", "t.parquet"]
    assert names(find_videos(both)) == both, "nothing else is named, so they are meant"
    assert capsys.readouterr().err == ""
    with pytest.raises(UserError, match="empty: this folder has no video"):
        find_videos(["empty"])


def test_the_home_folder(videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(videos))
    assert find_videos(["~/*.avi"]) == find_videos(["~/short.avi"]) == [videos / "short.avi"]
    (videos / "~").mkdir()
    (videos / "~" / "own.avi").touch()
    assert find_videos(["~/own.avi"]) == [videos / "~/own.avi"], "a file of that name comes first"


@pytest.mark.parametrize("given", [["own"], ["own/*"], ["own/**/*.avi"], ["own/a.avi", "own/locked/"]])
def test_a_folder_that_cannot_be_read_is_named_and_stops_no_other(
    given: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with bound_by_permissions():
        Path("own/locked").mkdir(parents=True)
        Path("own/a.avi").touch()
        Path("own/locked").chmod(0)
        assert names(find_videos(given)) == ["a.avi"]
        told = "warning: 1 folder left out, which cannot be read: own/locked (Permission denied)\n"
        assert capsys.readouterr().err == told
        with pytest.raises(UserError, match="own/locked: cannot be read: Permission denied: make it readable, or"):
            find_videos(["own/locked"])


@pytest.mark.parametrize("pattern", ["locked/*.avi", "locked/**", "l[o]cked/**", "lock*/**/*.avi"])
def test_a_pattern_into_a_folder_that_cannot_be_read(
    pattern: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with bound_by_permissions():
        Path("locked").mkdir(mode=0)
        Path("a.avi").touch()
        with pytest.raises(UserError, match="locked: cannot be read: Permission denied: make it readable, or"):
            find_videos([pattern])
        with pytest.raises(UserError, match="no file matches it"):
            find_videos(["a**/*.avi"])


def test_one_video_by_several_names(videos: Path) -> None:
    assert find_videos([videos / "a", videos / "b" / ".." / "a"]) == [videos / "a" / "one.avi"]


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.mp4")
    Path(name).write_bytes(b"x")
    with pytest.raises(UserError, match=r"\\xff\.mp4: this path is not UTF-8"):
        find_videos([name])


@pytest.mark.parametrize("given", [[""], ["**/*.mp4"], ["a.mp4", "caf\udce9"], ["a.mp4", "caf\udce9/é.mp4"]])
def test_paths_that_are_not_utf8_are_left_out_unless_there_are_no_others(
    given: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.mp4").touch()
    (tmp_path / "caf\udce9").mkdir()
    (tmp_path / "caf\udce9" / "é.mp4").touch()
    assert find_videos([tmp_path / path for path in given]) == [tmp_path / "a.mp4"]
    assert rf"1 path left out, not UTF-8: rename them: {tmp_path}/caf\xe9/é.mp4" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"caf\\xe9/é\.mp4: this path is not UTF-8"):
        find_videos([tmp_path / "caf\udce9"])
