"""Whether the end of a file is missing is told from its structure."""

import struct
from pathlib import Path

import pytest

from mofore.frames.container import (
    ends_in_zeros,
    ends_within_a_packet,
    is_cut_off,
    is_fragmented,
    may_be_turned,
)
from tests.helpers.gallery import Video, write_gallery_video
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
    for sign in (is_cut_off, ends_in_zeros, ends_within_a_packet, may_be_turned):
        assert sign(file) in (True, False)


@pytest.mark.skipif(not SHARED.exists(), reason="the shared videos are not on this machine")
def test_real_videos_are_not_cut_off() -> None:
    videos = [
        file for file in (SHARED / "videos").rglob("*") if file.suffix in (".avi", ".mp4", ".mov", ".mkv", ".webm")
    ]
    assert videos
    assert not [file for file in videos if is_cut_off(file)]
    assert not [file for file in videos if ends_in_zeros(file) or ends_within_a_packet(file)]


def test_wmv_from_whose_middle_bytes_are_missing(tmp_path: Path) -> None:
    whole = write_gallery_video(tmp_path / "a.wmv", Video("wmv2"))
    data = whole.read_bytes()
    assert not is_cut_off(whole)
    whole.write_bytes(data[:5000] + data[5500:])
    assert is_cut_off(whole)


@pytest.mark.parametrize(("name", "codec"), [("a.ts", "libx264"), ("a.mpg", "mpeg2video")])
def test_streams_that_end_within_a_packet(name: str, codec: str, tmp_path: Path) -> None:
    whole = write_gallery_video(tmp_path / name, Video(codec))
    data = whole.read_bytes()
    assert not ends_within_a_packet(whole)
    for cut in (700, 1501, 2555):
        whole.write_bytes(data[:-cut])
        assert ends_within_a_packet(whole), cut
    for appended in (b"\r\n", b"TAG" + bytes(125), bytes(4096)):
        whole.write_bytes(data + appended)
        assert not ends_within_a_packet(whole), appended


def test_ogg_that_ends_before_its_last_page(tmp_path: Path) -> None:
    whole = write_gallery_video(tmp_path / "a.ogv", Video("libvpx", frames=60))
    data = whole.read_bytes()
    assert not ends_within_a_packet(whole)
    whole.write_bytes(data + b"TAG" + bytes(125))
    assert not ends_within_a_packet(whole), "bytes that somebody appended"
    for cut in (1, 20, len(data) - data.rfind(b"OggS"), len(data) - data.rfind(b"OggS") - 10, len(data) // 2):
        whole.write_bytes(data[:-cut])
        assert ends_within_a_packet(whole), cut


@pytest.mark.parametrize("name", ["a.mkv", "a.flv", "a.ts"])
def test_an_end_of_zeros(name: str, tmp_path: Path) -> None:
    whole = write_gallery_video(tmp_path / name, Video())
    assert not ends_in_zeros(whole)
    whole.write_bytes(whole.read_bytes()[:-1000] + bytes(1000))
    assert ends_in_zeros(whole)


def test_zeros_that_fill_a_file_are_not_the_end_of_the_video(tmp_path: Path) -> None:
    matroska = write_gallery_video(tmp_path / "a.mkv", Video())
    matroska.write_bytes(matroska.read_bytes() + b"\xec\x45\xdc" + bytes(1500))  # an element "Void"
    assert not ends_in_zeros(matroska)
    program = write_gallery_video(tmp_path / "a.mpg", Video("mpeg2video"))
    program.write_bytes(program.read_bytes() + b"\0\0\1\xb9" + bytes(1500))
    assert not ends_in_zeros(program)


def test_fragments_that_are_cut_off(tmp_path: Path) -> None:
    fragments = {"movflags": "frag_keyframe+empty_moov"}
    whole = write_gallery_video(tmp_path / "a.mp4", Video(options={"g": "5"}), container=fragments)
    data = whole.read_bytes()
    assert is_fragmented(whole)
    assert not is_cut_off(whole)
    whole.write_bytes(data[: data.rfind(b"moof") + 20])
    assert is_fragmented(whole)
    assert is_cut_off(whole)
    assert not is_fragmented(write_gallery_video(tmp_path / "b.mp4", Video()))


@pytest.mark.parametrize("turned", [True, False])
def test_files_that_may_be_turned(turned: bool, tmp_path: Path) -> None:
    video = Video(matrix=(0, 1, -1, 0)) if turned else Video()
    fragments = {"movflags": "frag_keyframe+empty_moov"}
    assert may_be_turned(write_gallery_video(tmp_path / "a.mp4", video)) == turned
    assert may_be_turned(write_gallery_video(tmp_path / "b.mov", video, container=fragments)) == turned
    assert may_be_turned(write_video(tmp_path / "a.mkv", codec="MJPG")), "its first frame will tell"
    assert not may_be_turned(write_gallery_video(tmp_path / "a.flv", Video()))


def test_a_matrix_in_the_header_of_the_whole_file(tmp_path: Path) -> None:
    whole = write_gallery_video(tmp_path / "a.mp4", Video())
    data = bytearray(whole.read_bytes())
    at = data.find(b"mvhd") + 4 + 36
    data[at : at + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    whole.write_bytes(data)
    assert may_be_turned(whole)
