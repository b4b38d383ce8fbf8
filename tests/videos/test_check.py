"""A folder is checked for all that would stop DVC."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mofore.errors import UserError
from mofore.videos.check import main, unhashable
from tests.helpers.video_files import write_video


def test_what_dvc_cannot_hash_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    write_video(tmp_path / "a" / "good.avi", 3)
    (tmp_path / "a" / "lost.mp4").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.mp4")
    found = dict(unhashable(tmp_path))
    assert found == {
        tmp_path / "a" / "lost.mp4": "a link that leads nowhere",
        tmp_path / "pipe.mp4": "a pipe, socket or device",
    }
    monkeypatch.setattr(sys, "argv", ["check", str(tmp_path)])
    with pytest.raises(UserError, match=r"2 files would stop dvc repro: remove what is named above$"):
        main()


def test_what_dvcignore_names_does_not_stop_dvc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q"], check=True)
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], check=True)
    Path("videos").mkdir()
    write_video(tmp_path / "videos" / "good.avi", 3)
    names = ["a [1].mp4", "b*?\n.mp4"]
    for name in names:
        (tmp_path / "videos" / name).symlink_to("nowhere")
    monkeypatch.setattr(sys, "argv", ["check", "videos"])
    with pytest.raises(UserError, match=r"add these lines to .dvcignore: /videos/a \\\[1\\\].mp4, /videos/b\\\*\\\?"):
        main()
    assert len(capsys.readouterr().out.splitlines()) == 2
    (tmp_path / "videos" / names[1]).unlink()
    Path(".dvcignore").write_text("/videos/a \\[1\\].mp4\n")
    main()
    assert "nothing that would stop DVC" in capsys.readouterr().out


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(mode=0)
    (tmp_path / "b.mp4").touch(mode=0)
    assert {path.name: reason for path, reason in unhashable(tmp_path)} == {
        "a": "cannot be read: Permission denied",
        "b.mp4": "cannot be read: Permission denied",
    }


def test_a_good_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    write_video(tmp_path / "good.avi", 3)
    monkeypatch.setattr(sys, "argv", ["check", str(tmp_path)])
    main()
    assert capsys.readouterr().out == f"check: 1 video in {tmp_path}, nothing that would stop DVC\n"
    with pytest.raises(UserError, match="there is no such folder"):
        list(unhashable(tmp_path / "missing"))
