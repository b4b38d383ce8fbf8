"""Whether the end of a file is missing is told from its structure."""

from pathlib import Path

import pytest

from mofore.frames.container import is_cut_off
from tests.helpers.video_files import SHARED, write_video


@pytest.mark.parametrize(("suffix", "codec"), [(".avi", "MJPG"), (".mp4", "mp4v"), (".mov", "mp4v"), (".mkv", "MJPG")])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_cut_off_file_is_recognised(tmp_path: Path, suffix: str, codec: str, share: float) -> None:
    whole = write_video(tmp_path / f"a{suffix}", 20, (320, 240), codec)
    data = whole.read_bytes()
    assert not is_cut_off(whole)
    whole.write_bytes(data + b"appended by somebody")
    assert not is_cut_off(whole)
    whole.write_bytes(data[: int(share * len(data))])
    assert is_cut_off(whole)


@pytest.mark.parametrize(
    "data", [b"", b"R", b"RIFF", b"\x1aE\xdf\xa3", b"\x1aE\xdf\xa3\x00", b"\0\0\0\0mdat", b"\0\0\0\1mdat", b"GIF89a"]
)
def test_fragments_of_a_header_raise_no_error(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "a.mp4"
    file.write_bytes(data)
    assert is_cut_off(file) in (True, False)


@pytest.mark.skipif(not SHARED.exists(), reason="the shared videos are not on this machine")
def test_real_videos_are_not_cut_off() -> None:
    videos = [
        file for file in (SHARED / "videos").rglob("*") if file.suffix in (".avi", ".mp4", ".mov", ".mkv", ".webm")
    ]
    assert videos
    assert not [file for file in videos if is_cut_off(file)]
