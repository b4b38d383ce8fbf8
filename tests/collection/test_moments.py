"""Pictures of a moment: the right ones, upright, small, and without decoding what comes before."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
import pytest
from av.container import InputContainer
from av.video.stream import VideoStream

from mofore.collection import moments
from mofore.collection.moments import read_moment
from mofore.errors import UserError
from mofore.frames import probe as probing
from mofore.frames.probe import open_container
from tests.helpers.video_files import SHARED, write_video

FPS = 10


def write_gray(
    path: Path,
    levels: list[int],
    size: tuple[int, int] = (64, 48),
    key_every: int = 10,
    fps: int = FPS,
    codec: Literal["libx264", "libvpx-vp9"] = "libx264",
) -> Path:
    """A video in which each frame has one gray level, with B-frames where the format allows them."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(fps))
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        speed = {"preset": "veryfast"} if codec == "libx264" else {"deadline": "realtime", "cpu-used": "8"}
        stream.options = {"crf": "1", "g": str(key_every), "threads": "1", **speed}
        for level in levels:
            image = np.full((size[1], size[0], 3), level, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def levels_of(pictures: list[np.ndarray]) -> list[int]:
    return [round(float(picture.mean())) for picture in pictures]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".ts"])
@pytest.mark.parametrize("start", [0.0, 1.5, 3.0, 7.7])
def test_the_pictures_of_a_moment_are_those_of_its_time(tmp_path: Path, suffix: str, start: float) -> None:
    levels = [20 + 2 * t for t in range(100)]
    file = write_gray(tmp_path / f"gray{suffix}", levels)
    found = levels_of(read_moment(file, start, start + 1, rate=5))
    wanted = [20 + 2 * (round(start * FPS) + 2 * k) for k in range(5)]
    assert len(found) == 5
    # AVI keeps no time stamps of B-frames, so they may be some frames off.
    assert np.abs(np.subtract(found, wanted)).max() <= (8 if suffix == ".avi" else 3)


def test_a_slow_video_repeats_its_pictures(tmp_path: Path) -> None:
    file = write_gray(tmp_path / "slow.mp4", [50, 100, 150, 200], fps=1)
    assert np.abs(np.subtract(levels_of(read_moment(file, 1, 3, rate=2)), [100, 100, 150, 150])).max() <= 2


def test_only_the_part_from_the_last_key_frame_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_gray(tmp_path / "long.mp4", [t % 200 for t in range(1000)])
    decoded = 0
    sound = moments._sound_frames

    def counting(*args: object) -> object:
        nonlocal decoded
        for frame in sound(*args):  # type: ignore[arg-type]
            decoded += 1
            yield frame

    monkeypatch.setattr(moments, "_sound_frames", counting)
    assert len(read_moment(file, 90.0, 91.0)) == 8
    assert decoded < 40
    with pytest.raises(UserError, match=r"has no picture from 200.0 to 201.0 s"):
        read_moment(file, 200.0, 201.0)
    assert decoded < 80


def test_of_a_long_vp9_file_only_the_packets_of_the_moment_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_gray(tmp_path / "long.webm", [t % 200 for t in range(1000)], codec="libvpx-vp9")
    read: list[object] = []

    class Counting:
        """A container that notes the packets that are read from it."""

        def __init__(self, container: InputContainer) -> None:
            self.container = container

        def __enter__(self) -> "Counting":
            return self

        def __exit__(self, *_: object) -> None:
            self.container.close()

        def __getattr__(self, name: str) -> object:
            return getattr(self.container, name)

        def demux(self, stream: VideoStream) -> Iterator[object]:
            for packet in self.container.demux(stream):
                read.append(packet.pts)
                yield packet

    def opened(*words: Any, **options: Any) -> Counting:
        return Counting(open_container(*words, **options))

    for module in (moments, probing):
        monkeypatch.setattr(module, "open_container", opened)
    assert len(read_moment(file, 90.0, 91.0)) == 8
    assert 10 < len(read) < 40


def test_pictures_are_small_but_never_enlarged(tmp_path: Path) -> None:
    file = write_gray(tmp_path / "a.mp4", [99] * 20, size=(160, 120))
    assert {picture.shape for picture in read_moment(file, 0, 1, height=60)} == {(60, 80, 3)}
    assert read_moment(file, 0, 1, height=999)[0].shape == (120, 160, 3)


@pytest.mark.skipif(not (SHARED / "videos/odd/video_90.mov").exists(), reason="needs the shared videos")
def test_a_turned_video_is_upright() -> None:
    turned, plain = (read_moment(SHARED / f"videos/odd/video_{angle}.mov", 0, 1)[0] for angle in (90, 0))
    assert turned.shape[0] > turned.shape[1]
    assert plain.shape[0] < plain.shape[1]


def test_files_that_are_gone_or_no_videos_get_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone.mp4: no such file"):
        read_moment(tmp_path / "gone.mp4", 0, 1)
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(UserError, match=r"text.mp4: not a video"):
        read_moment(tmp_path / "text.mp4", 0, 1)
    whole = write_video(tmp_path / "whole.avi", frames=50)
    (tmp_path / "half.avi").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert read_moment(tmp_path / "half.avi", 0, 0.5)
