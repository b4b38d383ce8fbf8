"""Files of unusual kinds, made here: each has the right pixels, or is named as damaged."""

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from mofore.config import Frames
from mofore.frames.child import end_child
from mofore.frames.outcome import Outcome
from mofore.frames.watchdog import write_pack
from tests.helpers.gallery import CORNERS, FRAMES, SIZE, Image, Video, picture, write_gallery_video
from tests.helpers.video_files import SHARED

SMALL = Video(size=(64, 48), plain=True)
COVER = Video("mjpeg", (600, 600), "yuvj420p", cover=True, frames=1, plain=True)
INTERLACED = ("interlaced_dct", "interlaced_me")

ONE_PICTURE = {  # every kind of one video stream that shows `picture` upright, with square pixels
    "h264.mp4": (Video(), None),
    "h264.mkv": (Video(), None),
    "h264.ts": (Video(), None),
    "h264_b_frames.mov": (Video(options={"bf": "3"}), None),
    "h264_ten_bits.mkv": (Video(pixels="yuv420p10le"), None),
    "h264_444.mp4": (Video(pixels="yuv444p"), None),
    "h264_fragments.mp4": (Video(options={"g": "5"}), {"movflags": "frag_keyframe+empty_moov"}),
    "hevc.mp4": (Video("libx265", options={"x265-params": "log-level=none"}), None),
    "hevc.ts": (Video("libx265", options={"x265-params": "log-level=none"}), None),
    "mpeg4.avi": (Video("mpeg4", options={"b": "2000000"}), None),
    "mpeg4.mp4": (Video("mpeg4", options={"b": "2000000"}), None),
    "mpeg2.mpg": (Video("mpeg2video", options={"b": "4000000"}), None),
    "mjpeg.avi": (Video("mjpeg", pixels="yuvj420p", options={"q:v": "2"}), None),
    "vp8.webm": (Video("libvpx", options={"b": "2000000"}), None),
    "vp9.webm": (Video("libvpx-vp9", options={"b": "2000000"}), None),
    "ffv1.mkv": (Video("ffv1", pixels="yuv444p"), None),
    "prores.mov": (Video("prores_ks", pixels="yuv422p10le"), None),
    "wmv2.wmv": (Video("wmv2", options={"b": "2000000"}), None),
    "mbaff.mp4": (Video(options={"x264-params": "interlaced=1"}), None),
    "mbaff.ts": (Video(options={"x264-params": "tff=1"}), None),
    "mbaff.mkv": (Video(options={"x264-params": "bff=1"}), None),
    "mpeg2_interlaced.mpg": (Video("mpeg2video", options={"b": "4000000"}, flags=INTERLACED), None),
    "mpeg2_interlaced.ts": (Video("mpeg2video", options={"b": "4000000"}, flags=INTERLACED), None),
    "mpeg2_interlaced.mkv": (Video("mpeg2video", options={"b": "4000000"}, flags=INTERLACED), None),
    "mpeg4_interlaced.avi": (Video("mpeg4", options={"b": "2000000"}, flags=INTERLACED), None),
    "mpeg4_interlaced.mp4": (Video("mpeg4", options={"b": "2000000"}, flags=INTERLACED), None),
    "prores_interlaced.mov": (Video("prores_ks", pixels="yuv422p10le", flags=INTERLACED), None),
    "bt709.mp4": (Video(colour=(1, 1, 1)), None),
    "bt2020.mp4": (Video(colour=(9, 9, 14)), None),
    "bt2020.mkv": (Video("ffv1", colour=(9, 9, 14)), None),
    "p3.mp4": (Video(colour=(1, 12, 1)), None),
    "pq.mp4": (Video(colour=(1, 1, 16)), None),
    "hlg.mkv": (Video("ffv1", colour=(1, 1, 18)), None),
}
STREAMS = {  # files with several video streams; `picture` is on the one to take
    "cover_first.mkv": (COVER, Video()),
    "cover_last.mkv": (Video(), COVER),
    "cover.mp4": (Video(), COVER),
    "small_first.mp4": (SMALL, Video()),
    "small_first.mkv": (SMALL, Video()),
    "small_first.mov": (SMALL, Video()),
    "small_first.ts": (SMALL, Video()),
    "default_last.mkv": (Video(plain=True, default=False), Video()),
    "default_beats_size.mkv": (Video(size=(400, 300), plain=True, default=False), Video()),
}


@pytest.fixture(scope="module", autouse=True)
def no_child_is_left() -> Iterator[None]:
    yield
    end_child()


def decode(file: Path, short_side: int = 64) -> tuple[Outcome, list[Image]]:
    """The outcome of a file, and its frames as they are stored, RGB [H, W, 3]."""
    pack = file.with_suffix(".bin")
    (found,) = write_pack(pack, [file], Frames(short_side, 0.0, 95), timeout=60)
    data, at, images = np.frombuffer(pack.read_bytes(), np.uint8), 0, []
    for length in found.lengths:
        image = cv2.imdecode(data[at : at + length], cv2.IMREAD_COLOR)
        assert image is not None
        images.append(np.array(image[..., ::-1], np.uint8))
        at += length
    return found, images


def assert_shows_the_picture(file: Path) -> None:
    found, images = decode(file)
    assert (found.status, found.reason) == ("ok", "")
    assert (found.width, found.height, len(images)) == (*SIZE, FRAMES)
    for t, image in enumerate(images):
        expected = cv2.resize(picture(t), (96, 64), interpolation=cv2.INTER_AREA)
        assert np.abs(image.astype(int) - expected).mean() < 8, f"frame {t}"
    same = decode(file)[1]
    assert all((one == other).all() for one, other in zip(images, same, strict=True)), "the same bytes each time"


@pytest.mark.parametrize("name", ONE_PICTURE)
def test_the_picture_is_right(name: str, tmp_path: Path) -> None:
    video, container = ONE_PICTURE[name]
    assert_shows_the_picture(write_gallery_video(tmp_path / name, video, container=container))


@pytest.mark.parametrize("name", STREAMS)
def test_the_stream_is_the_one_that_ffmpeg_takes(name: str, tmp_path: Path) -> None:
    file = write_gallery_video(tmp_path / name, *STREAMS[name])
    assert_shows_the_picture(file)
    assert re.fullmatch(r"video stream [12] of 2, 192x128", decode(file)[0].note)


@pytest.mark.parametrize("aspect", [Fraction(4, 3), Fraction(8, 9), Fraction(1024, 765), Fraction(2)])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.mov"])
def test_pixels_that_are_not_square(name: str, aspect: Fraction, tmp_path: Path) -> None:
    width, height = SIZE
    found, images = decode(write_gallery_video(tmp_path / name, Video(aspect=aspect)))
    assert (found.width, found.height) == (round(width * aspect), height)
    assert images[0].shape == (64, round(64 * width * aspect / height), 3)
    expected = cv2.resize(picture(0), images[0].shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(images[0].astype(int) - expected).mean() < 8


@pytest.mark.parametrize(
    "matrix",
    [
        (1, 0, 0, 1),
        (0, 1, -1, 0),
        (-1, 0, 0, -1),
        (0, -1, 1, 0),
        (-1, 0, 0, 1),
        (1, 0, 0, -1),
        (0, 1, 1, 0),
        (0, -1, -1, 0),
    ],
)
@pytest.mark.parametrize("video", [Video(), Video(options={"x264-params": "interlaced=1"})], ids=["opencv", "pyav"])
def test_pictures_are_turned_and_mirrored(matrix: tuple[int, int, int, int], video: Video, tmp_path: Path) -> None:
    """Each corner is shown where the matrix puts it."""
    video.matrix = matrix
    found, images = decode(write_gallery_video(tmp_path / "a.mov", video))
    a, b, c, d = matrix
    assert (found.width, found.height) == (SIZE if a else SIZE[::-1])
    high, wide = images[0].shape[:2]
    assert (high > wide) == (not a)
    for (x, y), colour in zip([(-1, -1), (1, -1), (-1, 1), (1, 1)], CORNERS.values(), strict=True):
        shown_x, shown_y = a * x + c * y, b * x + d * y
        pixel = images[0][high // 2 + shown_y * high // 3, wide // 2 + shown_x * wide // 3]
        assert np.abs(pixel.astype(int) - colour).max() < 25


# Messages of H.264, as bytes of a stream
DIRECTION = b"\x06\x2f\x03\x08\x00\x14\x80"  # "display orientation": 90 degrees, counter-clockwise
AFTER_OTHERS = b"\x06\x00\x01\x80\x05\x1b" + b"\x00\x00\x03\x01" * 9 + b"\x2f\x03\x08\x00\x14\x80"
BROKEN_OFF = b"\x06\x05\xf0abcdefg\x80"  # as some cameras write it: said to be longer than it is


def with_message(file: Path, message: bytes) -> Path:
    """A copy of a video with a unit before each picture."""
    copy = file.with_name(f"message_{file.name}")
    with av.open(str(file)) as container, av.open(str(copy), "w") as out:
        stream = out.add_stream_from_template(container.streams.video[0])
        before = b"\0\0\0\1" if file.suffix in (".avi", ".ts") else len(message).to_bytes(4)
        for old in container.demux(video=0):
            if old.dts is not None:
                packet = av.Packet(before + message + bytes(old))
                packet.pts, packet.dts, packet.duration = old.pts, old.dts, old.duration
                packet.time_base, packet.is_keyframe, packet.stream = old.time_base, old.is_keyframe, stream
                out.mux(packet)
    return copy


@pytest.mark.parametrize("message", [DIRECTION, AFTER_OTHERS], ids=["first", "after_others"])
@pytest.mark.parametrize("name", ["a.avi", "a.mp4", "a.mov", "a.flv", "a.ts"])
def test_a_direction_that_only_the_pictures_name(name: str, message: bytes, tmp_path: Path) -> None:
    found, images = decode(with_message(write_gallery_video(tmp_path / name, Video()), message))
    assert (found.status, found.width, found.height) == ("ok", *SIZE[::-1])
    high, wide = images[0].shape[:2]
    assert np.abs(images[0][high - high // 6, wide // 6].astype(int) - CORNERS["red"]).max() < 25
    assert np.abs(images[0][high // 6, wide // 6].astype(int) - CORNERS["green"]).max() < 25


@pytest.mark.parametrize("name", ["a.mp4", "a.ts"])
@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_a_message_that_breaks_off_is_no_damage(name: str, codec: str, tmp_path: Path) -> None:
    message = BROKEN_OFF if codec == "libx264" else b"\x4e\x01" + BROKEN_OFF[1:]
    options = {} if codec == "libx264" else {"x265-params": "log-level=none"}
    assert_shows_the_picture(with_message(write_gallery_video(tmp_path / name, Video(codec, options=options)), message))


def test_pictures_of_another_size_than_the_header_says(tmp_path: Path) -> None:
    file = write_gallery_video(tmp_path / "a.webm", Video("libvpx", options={"b": "2000000"}))
    data = file.read_bytes()
    width = data.find(b"\xb0\x81\xc0")  # element PixelWidth, 192
    assert width > 0
    file.write_bytes(data[: width + 2] + b"\x80" + data[width + 3 :])
    assert_shows_the_picture(file)


def test_joined_transport_streams_are_read_to_the_end(tmp_path: Path) -> None:
    for name, options in (("a.ts", {}), ("interlaced.ts", {"x264-params": "interlaced=1"})):
        file = write_gallery_video(tmp_path / name, Video(options=options))
        file.write_bytes(2 * file.read_bytes())
        found = decode(file)[0]
        assert (found.status, len(found.lengths)) == ("ok", 2 * FRAMES)


def test_a_stream_of_an_unknown_codec(tmp_path: Path) -> None:
    alone = write_gallery_video(tmp_path / "alone.avi", Video("mpeg4"))
    alone.write_bytes(alone.read_bytes().replace(b"FMP4", b"QQQQ"))
    assert decode(alone)[0].reason == "of a codec that neither OpenCV nor PyAV knows"
    beside = write_gallery_video(tmp_path / "beside.mkv", Video("mpeg4", plain=True), Video())
    data = beside.read_bytes()
    assert data.count(b"V_MPEG4/ISO/ASP") == 1
    beside.write_bytes(data.replace(b"V_MPEG4/ISO/ASP", b"V_MPEG4/ISO/QQQ"))
    assert_shows_the_picture(beside)


def test_a_list_of_files_is_no_video(tmp_path: Path) -> None:
    write_gallery_video(tmp_path / "a.mp4", Video())
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile a.mp4\n")
    assert decode(tmp_path / "list.mp4")[0].reason == "a list of other files, not a video itself"


def test_the_outcome_does_not_depend_on_the_file_before(tmp_path: Path) -> None:
    """The second of two files with the same complaint is not taken for sound."""
    whole = write_gallery_video(tmp_path / "a.mkv", Video("mpeg4", options={"g": "12"}))
    packets = []
    with av.open(str(whole)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.dts is not None]
        late = tmp_path / "late.mkv"
        with av.open(str(late), "w") as out:
            stream = out.add_stream_from_template(container.streams.video[0])
            for packet in packets[5:]:  # without the first key frame
                packet.stream = stream
                out.mux(packet)
    pack = tmp_path / "pack.bin"
    one, two, three = write_pack(pack, [late, late, late], Frames(64, 0.0, 95), timeout=60)
    assert one.status == "truncated"
    assert one.lengths == two.lengths == three.lengths
    assert one.reason == two.reason == three.reason


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_zeros_inside_h265_are_damage(name: str, tmp_path: Path) -> None:
    """Its decoder takes them for a picture and does not complain."""
    whole = write_gallery_video(tmp_path / name, Video("libx265", options={"x265-params": "log-level=none:keyint=5"}))
    with av.open(str(whole)) as container:
        places = {t: packet.pos + packet.size - 150 for t, packet in enumerate(container.demux(video=0)) if packet.pos}
    data = whole.read_bytes()
    for t in (5, 10, 15):  # key frames
        whole.write_bytes(data[: places[t]] + bytes(100) + data[places[t] + 100 :])
        found = decode(whole)[0]
        assert found.status == "truncated"
        assert len(found.lengths) <= t


needs_cases = pytest.mark.skipif(not (SHARED / "cases").exists(), reason="the shared cases are not here")


def of_a_case(name: str, folder: Path) -> tuple[Outcome, list[Image]]:
    """The outcome and frames of a shared file; links let the pack lie elsewhere."""
    (folder / name).symlink_to(SHARED / "cases" / name)
    return decode(folder / name)


@needs_cases
@pytest.mark.parametrize("name", ["07_progressive.mp4", "07_interlaced_mbaff.mp4", "07_interlaced_avchd.MTS"])
def test_shared_interlaced_cases(name: str, tmp_path: Path) -> None:
    found, images = of_a_case(name, tmp_path)
    assert (found.status, len(images)) == ("ok", 50)
    assert np.abs(np.mean(images, axis=(0, 1, 2)) - (123, 129, 126)).max() < 2


@needs_cases
@pytest.mark.parametrize(
    ("name", "frames", "shape"),
    [
        ("03_cover_is_first_track.mkv", 100, (64, 85, 3)),
        ("03_small_stream_first.mp4", 100, (64, 85, 3)),
        ("01_square_640x360.mp4", 50, (64, 114, 3)),
        ("01_sar_4_3_480x360.mp4", 50, (64, 114, 3)),
    ],
)
def test_shared_cases_of_streams_and_shapes(
    name: str, frames: int, shape: tuple[int, int, int], tmp_path: Path
) -> None:
    found, images = of_a_case(name, tmp_path)
    assert (found.status, len(images), images[0].shape) == ("ok", frames, shape)


@needs_cases
@pytest.mark.parametrize(
    ("name", "corners"),
    [
        ("28_upright.mp4", ("red", "green", "blue", "white")),
        ("28_mirrored_left_right.mp4", ("green", "red", "white", "blue")),
        ("28_turned_90_clockwise.mp4", ("blue", "red", "white", "green")),
    ],
)
def test_shared_cases_of_directions(name: str, corners: tuple[str, ...], tmp_path: Path) -> None:
    pure = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}
    image = of_a_case(name, tmp_path)[1][0]
    for (y, x), colour in zip([(5, 5), (5, -5), (-5, 5), (-5, -5)], corners, strict=True):
        assert np.abs(image[y, x].astype(int) - pure[colour]).max() < 12
