"""For every file, what is stored is what PyAV decodes, or the file is named as damaged."""

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mofore.config import Frames
from mofore.frames.child import end_child
from mofore.frames.watchdog import write_pack
from tests.helpers.gallery import Image, Video, write_gallery_video

KINDS = {  # suffix: encoders, with options that keep them fast
    ".mp4": ["libx264", "mpeg4", "libx265"],
    ".mkv": ["libx264", "mpeg2video", "ffv1", "libx265"],
    ".mov": ["libx264", "prores_ks", "mjpeg"],
    ".avi": ["libx264", "mpeg4", "mjpeg"],
    ".ts": ["libx264", "mpeg2video"],
    ".mpg": ["mpeg2video"],
    ".webm": ["libvpx"],
    ".wmv": ["wmv2"],
    ".flv": ["flv1", "libx264"],
}
PIXELS = {"mjpeg": "yuvj420p", "prores_ks": "yuv422p10le", "ffv1": "yuv444p"}
INTERLACED = {"libx264": {"x264-params": "interlaced=1"}, "mpeg2video": {}, "mpeg4": {}}
ASPECTS = [Fraction(1), Fraction(4, 3), Fraction(8, 9)]


@pytest.fixture(scope="module", autouse=True)
def no_child_is_left() -> Iterator[None]:
    yield
    end_child()


@st.composite
def videos(draw: st.DrawFn) -> tuple[str, Video]:
    """A suffix, and a video that such a file can hold."""
    suffix = draw(st.sampled_from(sorted(KINDS)))
    codec = draw(st.sampled_from(KINDS[suffix]))
    interlaced = codec in INTERLACED and draw(st.booleans())
    options = {"g": str(draw(st.integers(1, 12)))} if codec not in ("prores_ks", "ffv1", "mjpeg") else {}
    if codec in ("libx264", "libx265"):
        options |= {"preset": "ultrafast", "bf": str(draw(st.integers(0, 2)))}
    if codec == "libx265":
        options["x265-params"] = "log-level=none"
    video = Video(
        codec,
        (2 * draw(st.integers(32, 100)), 4 * draw(st.integers(16, 40))),
        PIXELS.get(codec, "yuv420p"),
        draw(st.sampled_from(ASPECTS if suffix in (".mp4", ".mkv", ".mov", ".ts") else ASPECTS[:1])),
        options | (INTERLACED[codec] if interlaced else {}),
        ("interlaced_dct", "interlaced_me") if interlaced and codec != "libx264" else (),
        frames=draw(st.integers(6, 24)),
    )
    return suffix, video


def reference(file: Path, size: tuple[int, int]) -> list[Image]:
    """All frames that PyAV decodes, RGB, at this width and height, through the JPEG that the stage stores."""
    images = []
    with av.open(str(file), metadata_errors="replace") as container:
        container.streams.video[0].codec_context.thread_count = 1
        for packet in container.demux(video=0):
            with suppress(av.FFmpegError):
                for frame in packet.decode():
                    small = cv2.resize(frame.to_ndarray(format="bgr24"), size, interpolation=cv2.INTER_AREA)
                    jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 100])[1]
                    images.append(np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR_RGB), np.uint8))
    return images


def stored(file: Path) -> tuple[str, list[Image]]:
    """The status of a file, and the frames that the stage stores, RGB."""
    pack = file.with_suffix(".bin")
    (found,) = write_pack(pack, [file], Frames(64, 0.0, 100), timeout=60)
    data, at, images = np.frombuffer(pack.read_bytes(), np.uint8), 0, []
    for length in found.lengths:
        image = cv2.imdecode(data[at : at + length], cv2.IMREAD_COLOR_RGB)
        images.append(np.asarray(image, np.uint8))
        at += length
    return found.status, images


def assert_same(found: list[Image], wanted: list[Image]) -> None:
    assert len(found) == len(wanted)
    for t, (image, other) in enumerate(zip(found, wanted, strict=True)):
        assert np.abs(image.astype(int) - other).mean() <= 3, f"frame {t}"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=videos())
def test_a_sound_file_is_stored_as_pyav_decodes_it(kind: tuple[str, Video], tmp_path: Path) -> None:
    suffix, video = kind
    file = write_gallery_video(tmp_path / f"a{suffix}", video)
    status, images = stored(file)
    assert status == "ok"
    assert_same(images, reference(file, images[0].shape[1::-1]))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=videos(), damage=st.sampled_from(["flips", "zeros", "hole", "cut"]), seed=st.integers(0, 2**31))
def test_a_damaged_file_is_stored_as_pyav_decodes_it_or_named(
    kind: tuple[str, Video], damage: str, seed: int, tmp_path: Path
) -> None:
    suffix, video = kind
    file = write_gallery_video(tmp_path / f"a{suffix}", video)
    data, rng = bytearray(file.read_bytes()), np.random.default_rng(seed)
    at = int(rng.integers(len(data) // 4, len(data)))
    if damage == "flips":
        for place in rng.integers(len(data) // 4, len(data), 5):
            data[place] ^= 1 << int(rng.integers(8))
    elif damage == "zeros":
        data[at : at + 300] = bytes(len(data[at : at + 300]))
    else:
        del data[at : at + 300 if damage == "hole" else None]
    file.write_bytes(data)
    status, images = stored(file)
    if status == "ok":
        assert_same(images, reference(file, images[0].shape[1::-1]))
