"""Reading a user's folder and its videos.csv."""

import os
import unicodedata
from pathlib import Path

import pytest

from mofore.catalog import Video
from mofore.errors import UserError
from mofore.videos.folder import find_files, look_alike, read_folder
from tests.helpers.video_files import bound_by_permissions


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def test_sub_folders_are_classes(tmp_path: Path) -> None:
    touch(tmp_path, "walk/b.MP4", "walk/deep/er/a.avi", "run/c.webm", "loose.mkv", "walk/notes.txt", "LICENSE")
    folder = read_folder(tmp_path)
    assert [(video.path, video.label, video.group, video.split) for video in folder.videos] == [
        ("loose.mkv", "", "", ""),
        ("run/c.webm", "run", "", ""),
        ("walk/b.MP4", "walk", "", ""),
        ("walk/deep/er/a.avi", "walk", "", ""),
    ]
    assert folder.unlisted == []
    assert folder.others == ["LICENSE", "walk/notes.txt"]


def test_unusual_names_are_found_and_can_be_listed(tmp_path: Path) -> None:
    names = ["a b.mp4", "a,b.mp4", 'a"b.mp4', "a\nb.mp4", "%03d.mp4", "http:x.mp4", "Übung/été 猫.mp4"]
    touch(tmp_path, *names)
    assert [video.path for video in read_folder(tmp_path).videos] == sorted(names)
    quoted = "".join('"{}"\n'.format(name.replace('"', '""')) for name in names)
    (tmp_path / "videos.csv").write_text("path\n" + quoted, encoding="utf-8-sig")  # as Excel saves it
    assert [video.path for video in read_folder(tmp_path).videos] == sorted(names)


def test_hidden_files_and_special_files_are_no_videos(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", ".b.mp4", "._a.mp4", ".git/c.mp4")
    os.mkfifo(tmp_path / "pipe.mp4")
    assert find_files(tmp_path) == ["a.mp4"]


def test_links_are_followed_and_loops_end(tmp_path: Path) -> None:
    elsewhere = touch(tmp_path / "elsewhere", "far.mp4", "single.mp4")
    root = touch(tmp_path / "root", "walk/a.mp4")
    (root / "linked.mp4").symlink_to(elsewhere / "single.mp4")
    (root / "run").symlink_to(elsewhere)
    for link in ("also_walk", "xwalk"):  # they sort before and after walk; the path without a link is preferred
        (root / link).symlink_to(root / "walk")
    (root / "walk" / "loop").symlink_to(root)
    (root / "self.mp4").symlink_to(root / "self.mp4")
    (root / "nowhere.mp4").symlink_to(root / "gone.mp4")
    assert find_files(root) == [
        "linked.mp4", "nowhere.mp4", "run/far.mp4", "run/single.mp4", "self.mp4", "walk/a.mp4",
    ]  # fmt: skip


def test_a_link_to_the_folder_itself_works(tmp_path: Path) -> None:
    touch(tmp_path / "real", "a.mp4")
    (tmp_path / "link").symlink_to("real")
    assert find_files(tmp_path / "link") == ["a.mp4"]


def test_table_lists_the_videos_to_use(tmp_path: Path) -> None:
    touch(tmp_path, "walk/a.mp4", "walk/b.mp4", "data.bin", "notes.txt")
    (tmp_path / "videos.csv").write_text(
        "split,group,path,label\ntest,g2,./walk//b.mp4,stroll\n\ntrain,,data.bin,\n", encoding="utf-8"
    )
    folder = read_folder(tmp_path)
    assert folder.videos == [Video("data.bin", "", "", "train"), Video("walk/b.mp4", "stroll", "g2", "test")]
    assert (folder.unlisted, folder.others) == (["walk/a.mp4"], ["notes.txt"])


def test_without_a_label_column_the_folder_is_the_label(tmp_path: Path) -> None:
    touch(tmp_path, "walk/a.mp4", "b.mp4")
    (tmp_path / "videos.csv").write_text("path,group\nwalk/a.mp4,g\nb.mp4,g\n")
    assert read_folder(tmp_path).videos == [Video("b.mp4", "", "g", ""), Video("walk/a.mp4", "walk", "g", "")]


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ("path,lable\na.mp4,x\n", r"line 1: the columns are 'path,lable'"),
        ("path;label\na.mp4;x\n", r"line 1: the columns are 'path;label'"),
        ("path,path\na.mp4,x\n", r"line 1: the columns are 'path,path'"),
        ("label\nx\n", r"line 1: the columns are 'label'"),
        ("", r"line 1: the columns are ''"),
        ("path\n", r"lists no video"),
        ("path\na.mp4\na.mp4\n", r"line 3: 'a\.mp4' is listed twice"),
        ("path\na.mp4\n./a.mp4\n", r"line 3: 'a\.mp4' is listed twice"),
        ("path\ngone.mp4\n", r"line 2: 'gone\.mp4' does not exist"),
        ("path\nsub\n", r"line 2: 'sub' does not exist"),
        ("path\n/etc/hosts\n", r"line 2: '/etc/hosts' is outside the folder"),
        ("path\n../a.mp4\n", r"line 2: '\.\./a\.mp4' is outside the folder"),
        ("path,label\n,x\n", r"line 2: the path is empty"),
        ("path,label\na.mp4\n", r"line 2: 1 cells for 2 columns"),
        ("path,label\na.mp4,x,y\n", r"line 2: 3 cells for 2 columns"),
        ("path,split\na.mp4,dev\n", r"line 2: split is 'dev', but must be train or test"),
        ("path,split\na.mp4,train\nb.mp4,\n", r"line 3: split is given in some lines, but not in all"),
        ("path,split\na.mp4,\nb.mp4,test\n", r"line 3: split is given in some lines, but not in all"),
        ("path,group,split\na.mp4,g,train\nb.mp4,g,test\n", r"line 3: group 'g' is in train and in test"),
        ('path\n"a.mp4\n', r"line 2: not valid CSV"),
    ],
)
def test_errors_in_a_table_are_reported_with_their_line(tmp_path: Path, table: str, complaint: str) -> None:
    touch(tmp_path, "a.mp4", "b.mp4", "sub/c.txt")
    (tmp_path / "videos.csv").write_text(table)
    with pytest.raises(UserError, match=rf"videos\.csv: {complaint}"):
        read_folder(tmp_path)


def test_table_in_another_encoding(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4")
    (tmp_path / "videos.csv").write_bytes("path,label\na.mp4,été\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"videos\.csv: not UTF-8"):
        read_folder(tmp_path)


def test_folders_without_videos(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.path is '.*gone', but there is no such folder"):
        read_folder(tmp_path / "gone")
    with pytest.raises(UserError, match="this folder is empty"):
        read_folder(tmp_path)
    touch(tmp_path, "a.txt", "b.txt")
    with pytest.raises(UserError, match="this folder holds 2 files, but no video"):
        read_folder(tmp_path)
    with pytest.raises(UserError, match=r"data\.path is '.*a\.txt', but is a file, not a folder"):
        read_folder(tmp_path / "a.txt")


def test_name_that_is_not_utf8(tmp_path: Path) -> None:
    try:
        (Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4"))).touch()
    except OSError:
        pytest.skip("this file system accepts UTF-8 names only")
    with pytest.raises(UserError, match=r"caf\\xe9\.mp4.* is not UTF-8: rename it"):
        read_folder(tmp_path)


def test_folder_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with bound_by_permissions():
        Path("own/locked").mkdir(parents=True)
        Path("own/locked").chmod(0)
        with pytest.raises(UserError, match="own/locked: cannot be read: Permission denied: make it readable"):
            read_folder(Path("own"))


def test_spaces_around_names_and_forms_of_accents_do_not_count(tmp_path: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "él/café.mp4") for form in ("NFC", "NFD"))
    for name in (decomposed, "run/b.mp4", "run /c.mp4"):
        touch(tmp_path, name)
    rows = [f" {composed},{unicodedata.normalize('NFD', 'été')}, g", "run/b.mp4,run ,g ", "run /c.mp4, run,h"]
    (tmp_path / "videos.csv").write_text("\n".join(["path , label,group", *rows]), encoding="utf-8")
    videos = {video.path: video for video in read_folder(tmp_path).videos}
    assert set(videos) == {decomposed, "run/b.mp4", "run /c.mp4"}, "as the files are called"
    assert videos[decomposed].label == unicodedata.normalize("NFC", "été")
    assert [video.group for video in videos.values()].count("g") == 2
    assert videos["run/b.mp4"].label == videos["run /c.mp4"].label == "run"
    (tmp_path / "videos.csv").unlink()
    assert {video.label for video in read_folder(tmp_path).videos} == {unicodedata.normalize("NFC", "él"), "run"}


def test_a_group_with_a_space_is_not_on_both_sides(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4")
    touch(tmp_path, "b.mp4")
    (tmp_path / "videos.csv").write_text("path,group,split\na.mp4,g,train\nb.mp4,g ,test\n")
    with pytest.raises(UserError, match="line 3: group 'g' is in train and in test"):
        read_folder(tmp_path)


def test_the_table_is_found_however_it_is_capitalised(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4")
    touch(tmp_path, "b.mp4")
    (tmp_path / "Videos.CSV").write_text("path\na.mp4\n")
    found = read_folder(tmp_path)
    assert ([video.path for video in found.videos], found.unlisted, found.others) == (["a.mp4"], ["b.mp4"], [])
    (tmp_path / "VIDEOS.csv").write_text("path\nb.mp4\n")
    with pytest.raises(UserError, match=r"VIDEOS.csv and Videos.CSV are both there: keep one, as videos.csv"):
        read_folder(tmp_path)


def test_a_cell_with_nul_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4")
    (tmp_path / "videos.csv").write_bytes(b"path,label\na.mp4,ru\0n\n")
    with pytest.raises(UserError, match=r"line 2: .*NUL"):
        read_folder(tmp_path)


def test_names_that_look_alike_are_told() -> None:
    assert look_alike(
        ["run", "Run", "walk", "jump_up", "Jump-Up", "jump up", "ﬁsh", "fish", "a\u200bb", "ab", "run"]
    ) == [
        ["Jump-Up", "jump up", "jump_up"],
        ["Run", "run"],
        ["ab", "a\u200bb"],
        ["fish", "ﬁsh"],
    ]
