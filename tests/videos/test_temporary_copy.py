"""In DVC's copies of the repository, a relative folder of videos has links to the videos."""

import os
import subprocess
from pathlib import Path

import pytest

from mofore.videos.temporary_copy import is_in_copies, link_originals


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a copy of a repository, as DVC makes it."""
    videos = tmp_path / "repository" / "data" / "videos"
    (videos / "a" / "deep").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    for name in (".gitkeep", "one.mp4", "a/two.mp4", "a/deep/three.mp4", "../../../elsewhere/four.mp4"):
        (videos / name).write_text(name)
    (videos / "b").symlink_to(tmp_path / "elsewhere")
    (videos / "lost.mp4").symlink_to("nowhere")
    copy = tmp_path / "repository" / ".dvc" / "tmp" / "exps" / "tmp1"
    (copy / "data" / "videos").mkdir(parents=True)
    (copy / "data" / "videos" / ".gitkeep").touch()
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "repository"))
    monkeypatch.chdir(copy)
    return copy


def test_the_copy_has_links_to_the_videos(copy: Path) -> None:
    for _ in range(2):
        link_originals(Path("data/videos"))
        found = {
            os.path.relpath(os.path.join(folder, name), "data/videos")
            for folder, _, files in os.walk("data/videos", followlinks=True)
            for name in files
        }
        assert found == {".gitkeep", "one.mp4", "a/two.mp4", "a/deep/three.mp4", "b/four.mp4", "lost.mp4"}
    assert Path("data/videos/a/two.mp4").read_text() == "a/two.mp4"
    assert not Path("data/videos/.gitkeep").is_symlink(), "what git tracks stays"
    assert Path("data/videos/b").is_symlink(), "DVC does not enter it, neither here nor there"


def test_nothing_is_linked_elsewhere(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link_originals(tmp_path / "repository" / "data" / "videos")
    link_originals(Path("missing"))
    monkeypatch.chdir(tmp_path / "repository")
    link_originals(Path("data/videos"))
    assert sorted(os.listdir("data/videos")) == [".gitkeep", "a", "b", "lost.mp4", "one.mp4"]
    assert os.listdir(copy / "data" / "videos") == [".gitkeep"]


def test_which_folders_a_copy_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert not is_in_copies(Path("clips")), "no git repository"
    subprocess.run(["git", "init", "-q"], check=True)
    for name in ("clips", "tracked"):
        Path(name).mkdir()
        (tmp_path / name / "a.mp4").touch()
    subprocess.run(["git", "add", "tracked/a.mp4"], check=True)
    assert [is_in_copies(Path(name)) for name in ("clips", "tracked", "/clips")] == [False, True, True]
