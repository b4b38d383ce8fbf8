"""Which AVI files are plain, and where the chunks of one break off."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mofore.config import Frames
from mofore.frames.avi import frames_before_a_break, is_plain_avi
from mofore.frames.child import end_child
from mofore.frames.watchdog import write_pack
from tests.helpers.gallery import FRAMES, Video, write_gallery_video
from tests.helpers.video_files import SHARED, write_video

Damage = Callable[[bytearray, int], None]


def test_which_avi_files_opencv_decodes_rightly(tmp_path: Path) -> None:
    assert is_plain_avi(write_video(tmp_path / "a.avi", codec="XVID"))
    assert not is_plain_avi(write_video(tmp_path / "b.avi", codec="MJPG")), "its pictures may have a direction"
    assert not is_plain_avi(write_gallery_video(tmp_path / "h264.avi", Video()))
    one = Video("mpeg4")
    assert is_plain_avi(write_gallery_video(tmp_path / "one.avi", one))
    for reserved in ("1024", "32768"):  # bytes for the index of each stream, before the header of the next one
        space = {"reserve_index_space": reserved}
        assert not is_plain_avi(write_gallery_video(tmp_path / "two.avi", one, one, container=space))
    assert not is_plain_avi(write_video(tmp_path / "a.mp4", codec="mp4v"))


def chunks(data: bytearray) -> list[int]:
    """Byte offsets of the frames of an AVI file."""
    found, at = [], data.find(b"movi") + 4
    while data[at : at + 4] == b"00dc":
        found.append(at)
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + length + length % 2
    return found


def zeros(data: bytearray, at: int) -> None:
    data[at - 20 : at + 40] = bytes(60)


def zeros_to_the_end(data: bytearray, at: int) -> None:
    data[at + 30 :] = bytes(len(data) - at - 30)


def hole(data: bytearray, at: int) -> None:
    del data[at - 10 : at + 60]
    data += bytes(70)


@pytest.mark.parametrize("codec", ["mjpeg", "mpeg4", "libx264"])
@pytest.mark.parametrize("damage", [zeros, zeros_to_the_end, hole])
def test_frames_after_a_break_are_left_out(codec: str, damage: Damage, tmp_path: Path) -> None:
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    whole = write_gallery_video(tmp_path / "a.avi", Video(codec, pixels=pixels, options={"g": "1"}))
    data = bytearray(whole.read_bytes())
    places = chunks(data)
    assert len(places) == FRAMES
    assert frames_before_a_break(whole) is None
    damage(data, places[12])
    whole.write_bytes(data)
    assert frames_before_a_break(whole) in (11, 12)
    (found,) = write_pack(tmp_path / "pack.bin", [whole], Frames(64, 0.0, 95), timeout=60)
    end_child()
    assert found.status == "truncated"
    assert 8 <= len(found.lengths) <= 12
    assert (tmp_path / "pack.bin").stat().st_size == sum(found.lengths)


def test_files_that_are_no_avi_have_no_break(tmp_path: Path) -> None:
    for data in (b"", b"RIFF", b"RIFF1234AVI ", b"RIFF1234AVI LIST", b"RIFF1234WAVEfmt \1"):
        (tmp_path / "a").write_bytes(data)
        assert frames_before_a_break(tmp_path / "a") is None
    assert frames_before_a_break(write_gallery_video(tmp_path / "a.mp4", Video())) is None


@pytest.mark.skipif(not SHARED.exists(), reason="the shared videos are not on this machine")
def test_real_videos_have_no_break() -> None:
    videos = sorted((SHARED / "videos").rglob("*.avi"))
    assert videos
    assert not [file for file in videos if frames_before_a_break(file) is not None]
