"""Unusual video files are decoded correctly, or reported with a reason."""

import io
import os
import struct
import wave
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from cv2.typing import MatLike
from hypothesis import given
from hypothesis import strategies as st

from mofore.config import Frames
from mofore.frames.decode import decode_frames, decode_video
from mofore.frames.opencv import MAX_FAILED_FRAMES
from mofore.frames.outcome import Outcome
from mofore.frames.shrink import resize
from tests.helpers.video_files import SHARED, bound_by_permissions, write_video

ODD = SHARED / "videos" / "odd"
needs_odd = pytest.mark.skipif(not ODD.exists(), reason="the odd videos are not here")


def decode(file: Path, short_side: int = 16, fps: float = 0) -> Outcome:
    return decode_video(file, io.BytesIO(), Frames(short_side, fps, 90), lambda: None)


def images(file: Path, fps: float = 0) -> list[MatLike]:
    """The frames of a video as they are stored, uint8 [H, W, 3] each."""
    out = io.BytesIO()
    data, at, found = out, 0, []
    for length in decode_video(file, out, Frames(64, fps, 95), lambda: None).lengths:
        image = cv2.imdecode(np.frombuffer(data.getvalue()[at : at + length], np.uint8), cv2.IMREAD_COLOR)
        assert image is not None
        found.append(image)
        at += length
    return found


def encode(
    path: Path,
    times: Sequence[int],
    size: tuple[int, int] = (64, 48),
    codec: str = "mpeg4",
    pixels: str = "yuv420p",
    shift: int = 0,
) -> Path:
    """Write a video that gets brighter; its frame t is shown at `times[t] - shift`, in units of 1/25 s."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        stream.codec_context.time_base = Fraction(1, 25)
        packets = []
        for t, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(np.full((size[1], size[0]), 20 + 2 * t, np.uint8), format="gray")
            frame = frame.reformat(format=pixels)
            frame.pts, frame.time_base = time, Fraction(1, 25)
            packets += stream.encode(frame)
        for packet in packets + stream.encode(None):
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            container.mux(packet)
    return path


@pytest.mark.parametrize("frames", [1, 2, 50])
def test_short_videos(tmp_path: Path, frames: int) -> None:
    found = decode(write_video(tmp_path / "a.avi", frames))
    assert (len(found.lengths), found.status, found.reason) == (frames, "ok", "")


def test_variable_frame_rate_gives_each_frame_once(tmp_path: Path) -> None:
    found = decode(encode(tmp_path / "a.mkv", [0, 1, 2, 30, 31, 90, 100]))
    assert (len(found.lengths), found.status) == (7, "ok")


def test_a_still_that_is_resampled_does_not_look_like_a_hanging_decoder(tmp_path: Path) -> None:
    called: list[None] = []
    video = encode(tmp_path / "still.mp4", [0, 250])
    stored = decode_video(video, io.BytesIO(), Frames(16, 25, 90), lambda: called.append(None))
    assert len(called) >= len(stored.lengths) > 250


@pytest.mark.parametrize(("size", "codec", "pixels"), [((51, 37), "ffv1", "yuv444p"), ((64, 48), "ffv1", "gray")])
def test_odd_sizes_and_gray(tmp_path: Path, size: tuple[int, int], codec: str, pixels: str) -> None:
    file = encode(tmp_path / "a.mkv", range(5), size, codec, pixels)
    found = decode(file)
    assert (len(found.lengths), found.width, found.height, found.status) == (5, *size, "ok")
    assert np.ptp(images(file)[0], axis=2).max() <= 2


def test_edit_list_hides_frames_and_is_no_damage(tmp_path: Path) -> None:
    file = encode(tmp_path / "a.mp4", range(40), shift=25)
    assert b"elst" in file.read_bytes()
    found = decode(file)
    assert (len(found.lengths), found.status) == (15, "ok")
    assert abs(int(images(file)[0].mean()) - (20 + 2 * 25)) <= 4  # frame 25 is the first to be shown


@pytest.mark.parametrize("claimed", [2, 5000])
def test_wrong_frame_count_in_the_header_is_not_believed(tmp_path: Path, claimed: int) -> None:
    file = write_video(tmp_path / "a.avi", 20, (320, 240))
    data = bytearray(file.read_bytes())
    for at in (data.find(b"avih") + 24, data.find(b"strh") + 40):
        data[at : at + 4] = struct.pack("<I", claimed)
    file.write_bytes(data)
    found = decode(file)
    assert (len(found.lengths), found.status) == (20, "ok")


class Events:
    """A sink that notes what happens, in order."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def start(self, fps: float, header_frames: int) -> float:
        self.names.append("start")
        return 0.0

    def add(self, seconds: float, image: MatLike) -> None:
        self.names.append("frame")

    def keep(self, frames: int) -> None:
        self.names.append("keep")


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
def test_a_file_that_is_read_before_its_first_frame_gives_signs_of_life(tmp_path: Path, codec: str) -> None:
    """Reading 20 GB takes minutes on a slow disk, longer than a decoder may be silent."""
    file = encode(tmp_path / "a.webm", range(60), codec=codec)
    events = Events()
    assert decode_frames(file, events, 16, lambda: events.names.append("alive")).status == "ok"
    assert events.names.index("start") >= 60
    assert events.names.count("frame") == 60


@pytest.mark.parametrize("codec", ["MJPG", "XVID"])
def test_a_file_that_is_read_after_its_last_frame_gives_signs_of_life(tmp_path: Path, codec: str) -> None:
    file = write_video(tmp_path / "a.avi", 60, (64, 48), codec)
    data = bytearray(file.read_bytes())
    for at in (data.find(b"avih") + 24, data.find(b"strh") + 40):
        data[at : at + 4] = struct.pack("<I", 5000)  # frames, so that some seem to be missing
    file.write_bytes(data)
    events = Events()
    assert decode_frames(file, events, 16, lambda: events.names.append("alive")).status == "ok"
    last = len(events.names) - events.names[::-1].index("frame")
    assert events.names[last:].count("alive") > 2 * 60, "packets are read, then chunks"


def test_a_cut_off_video_keeps_the_frames_before_the_cut(tmp_path: Path) -> None:
    file = write_video(tmp_path / "a.avi", 20, (320, 240))
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    found = decode(file)
    assert 5 <= len(found.lengths) <= 12
    assert (found.status, found.reason) == ("truncated", f"cut off: {len(found.lengths)} of 20 frames decoded")


def test_a_video_cut_off_before_its_index_is_reported_as_cut_off(tmp_path: Path) -> None:
    file = write_video(tmp_path / "a.mp4", 20, (320, 240), "mp4v")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert decode(file).reason == "cut off: not a video, or of a format that neither OpenCV nor PyAV can read"


@needs_odd
def test_frames_after_a_damaged_frame_are_left_out() -> None:
    found = decode(ODD / "corrupted.mp4")
    assert (len(found.lengths), found.status) == (28, "truncated")
    assert found.reason == "damaged: 28 of 50 frames decoded"
    resampled = decode(ODD / "corrupted.mp4", fps=10)  # its own rate
    assert (len(resampled.lengths), resampled.reason) == (28, found.reason)


def test_paths_that_are_not_readable_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.avi")
    Path("folder.avi").mkdir()
    Path("empty.avi").touch()
    Path("linked.avi").symlink_to("gone.avi")
    locked = write_video(Path("locked.avi"))
    locked.chmod(0)
    assert decode(Path("pipe.avi")).reason == "a pipe, socket or device, not a file"
    assert decode(Path("folder.avi")).reason == "a folder, not a file"
    assert decode(Path("empty.avi")).reason == "empty file, zero bytes"
    assert decode(Path("linked.avi")).reason == "No such file or directory"
    with bound_by_permissions():
        assert decode(locked) == Outcome(reason="Permission denied")


def write_sound(path: Path) -> Path:
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16000))
    return path


def test_files_that_are_not_videos(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("this is no video\n" * 100)
    sound = write_sound(tmp_path / "sound.mp4")
    assert decode(text).reason == "not a video, or of a format that neither OpenCV nor PyAV can read"
    assert decode(sound).reason == "no video stream, sound only"


@needs_odd
def test_pyav_decodes_what_opencv_cannot() -> None:
    found = decode(ODD / "av1_video.mkv")
    assert (len(found.lengths), found.fps, found.width, found.height, found.status) == (125, 25.0, 640, 360, "ok")


@needs_odd
@pytest.mark.parametrize("name", ["video_0.mov", "video_90.mov", "unordered.mov", "newtonscradle.gif"])
def test_both_decoders_see_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    by_opencv = images(ODD / name)
    monkeypatch.setattr(cv2.VideoCapture, "isOpened", lambda capture: False)
    by_pyav = images(ODD / name)
    assert len(by_opencv) == len(by_pyav) > 0
    for one, other in zip(by_opencv, by_pyav, strict=True):
        assert np.abs(one.astype(int) - other).mean() < 2


@needs_odd
def test_rotation_is_honoured() -> None:
    lying, upright = images(ODD / "video_90.mov")[0], images(ODD / "video_0.mov")[0]
    assert lying.shape[0] > lying.shape[1]
    assert upright.shape[0] < upright.shape[1]


def test_damaged_frames_at_the_start_are_skipped(tmp_path: Path) -> None:
    file = encode(tmp_path / "a.mkv", range(30), codec="mjpeg", pixels="yuvj420p")
    data = file.read_bytes()
    start = data.find(b"\xff\xd8")
    file.write_bytes(data[:start] + bytes(200) + data[start + 200 :])
    assert len(decode(file).lengths) >= 29
    assert MAX_FAILED_FRAMES > 1


def test_too_thin_to_store(tmp_path: Path) -> None:
    found = decode(write_video(tmp_path / "a.avi", 1, (4096, 2)), short_side=64)
    assert found.reason == "too long and thin to store, 4096x2"


def test_frames_that_change_their_size_are_stored_alike(tmp_path: Path) -> None:
    # Two concatenated MPEG-1 streams are one stream in which the frame size changes.
    sizes = {"a.mpg": (64, 48), "b.mpg": (96, 48)}
    parts = [write_video(tmp_path / name, 4, size, "PIM1") for name, size in sizes.items()]
    both = tmp_path / "both.mpg"
    both.write_bytes(b"".join(part.read_bytes() for part in parts))
    found = images(both)
    assert len(found) > 4  # so the second stream was decoded, too
    assert {image.shape for image in found} == {(64, 85, 3)}


def test_a_playlist_is_not_followed(tmp_path: Path) -> None:
    playlist = tmp_path / "a.mp4"
    playlist.write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n")
    assert decode(playlist).status == "unreadable"


def test_bare_name_is_not_taken_for_a_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(decode(write_video(Path("http:x.avi"), 2)).lengths) == 2


SIDES = st.integers(16, 300)


@given(SIDES, SIDES, st.integers(4, 64), st.integers(4, 64))
def test_resize_keeps_position_and_brightness(width: int, height: int, new_width: int, new_height: int) -> None:
    """A horizontal gradient is shifted by less than a fifth of a pixel."""
    slope = (np.arange(width) + 0.5) / width * 255
    image = np.broadcast_to(slope.round().astype(np.uint8)[None, :, None], (height, width, 3))
    small = resize(np.ascontiguousarray(image), (new_width, new_height))
    assert small.shape == (new_height, new_width, 3)
    assert np.ptp(small.astype(int), axis=(0, 2)).max() <= 1
    wanted = (np.arange(new_width) + 0.5) / new_width * 255
    assert np.abs(small[0, :, 0] - wanted)[1:-1].max() < 1.5 + 0.2 * 255 / min(width, new_width)
