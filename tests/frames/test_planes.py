"""Pictures whose planes are shrunk first are those of the usual way, but for rounding; other files take that way."""

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from cv2.typing import MatLike

from mofore.frames.avi import is_plain_avi
from mofore.frames.decode import decode_frames
from mofore.frames.outcome import Decoded
from mofore.frames.planes import PLANAR, Planes
from tests.helpers.gallery import Video, write_gallery_video

BT709 = (1, 1, 1)
KINDS = [
    ("a.mp4", Video()),
    ("a.mp4", Video(size=(190, 126))),
    ("a.mp4", Video(size=(66, 64))),  # planes of colours grow
    ("a.mp4", Video(aspect=Fraction(4, 3))),
    ("a.mp4", Video(colour=BT709)),
    ("a.mov", Video("mjpeg", pixels="yuvj420p")),
    ("a.avi", Video("mjpeg", pixels="yuvj422p")),
    ("a.mkv", Video(pixels="yuv422p")),
    ("a.mkv", Video("ffv1", size=(191, 127), pixels="yuv444p")),
    ("a.mkv", Video("libx265", options={"x265-params": "log-level=none"})),
    ("a.mpg", Video("mpeg2video", flags=("interlaced_dct", "interlaced_me"))),
    ("a.webm", Video("libvpx")),
    ("a.mp4", Video(matrix=(0, 1, -1, 0))),
    ("a.mp4", Video(matrix=(-1, 0, 0, 1))),
]
OTHERS = [
    ("a.mov", Video("prores_ks", pixels="yuv422p10le")),
    ("a.avi", Video("rawvideo", pixels="bgr24")),
    ("a.mkv", Video("ffv1", pixels="gray")),
]
WITHOUT_TIMES = ("a.avi", Video(options={"bf": "2"}))  # FFmpeg gives the times of packets, not of pictures


@dataclass
class Frames:
    """A sink that keeps what it gets, for one decoder."""

    resampled_to: float = 0.0
    images: list[MatLike] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def start(self, fps: float, header_frames: int) -> float:
        self.images, self.seconds = [], []
        return self.resampled_to

    def add(self, seconds: float, image: MatLike) -> None:
        self.images.append(image)
        self.seconds.append(seconds)

    def keep(self, frames: int) -> None:
        del self.images[frames:], self.seconds[frames:]


@pytest.fixture
def shrunk(monkeypatch: pytest.MonkeyPatch) -> list[Planes]:
    """The pictures whose planes have been shrunk."""
    pictures: list[Planes] = []
    before = Planes.shrunk

    def spied(picture: Planes, *args: object) -> MatLike:
        pictures.append(picture)
        return before(picture, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Planes, "shrunk", spied)
    return pictures


def both_ways(file: Path, resampled_to: float = 0.0) -> tuple[tuple[Decoded, Frames], tuple[Decoded, Frames]]:
    """What is decoded in the usual way, and by planes."""
    usual, planes = Frames(resampled_to), Frames(resampled_to)
    found = decode_frames(file, usual, 32, lambda: None)
    return (found, usual), (decode_frames(file, planes, 32, lambda: None, by_planes=True), planes)


@pytest.mark.parametrize(("name", "video"), KINDS, ids=lambda one: getattr(one, "pixels", one))
@pytest.mark.parametrize("resampled_to", [0.0, 10.0])
def test_planes_give_the_same_pictures(
    name: str, video: Video, resampled_to: float, tmp_path: Path, shrunk: list[Planes]
) -> None:
    file = write_gallery_video(tmp_path / name, video)
    (found, usual), (found_by_planes, planes) = both_ways(file, resampled_to)
    assert video.pixels in PLANAR
    assert found_by_planes == found
    assert len(shrunk) == len(planes.images) == len(usual.images) == found.frames > 0
    np.testing.assert_allclose(planes.seconds, usual.seconds, atol=2e-3)
    for image, other in zip(planes.images, usual.images, strict=True):
        assert image.shape == other.shape
        difference = np.abs(image.astype(int) - other)
        assert difference.mean() < 2
        assert np.median(difference) <= 1


@pytest.mark.parametrize(("name", "video"), OTHERS, ids=lambda one: getattr(one, "pixels", one))
def test_pictures_without_such_planes_take_the_usual_way(
    name: str, video: Video, tmp_path: Path, shrunk: list[Planes]
) -> None:
    (found, usual), (found_by_planes, planes) = both_ways(write_gallery_video(tmp_path / name, video))
    assert not shrunk
    assert found_by_planes == found
    np.testing.assert_array_equal(planes.images, usual.images)


def test_lines_from_bottom_to_top_take_the_usual_way(tmp_path: Path, shrunk: list[Planes]) -> None:
    file = write_gallery_video(tmp_path / "a.mkv", Video("rawvideo", extradata=b"BottomUp\0"))
    (found, usual), (found_by_planes, planes) = both_ways(file)
    assert not shrunk
    assert found_by_planes == found
    np.testing.assert_array_equal(planes.images, usual.images)


def test_pictures_whose_times_do_not_rise_take_the_usual_way(tmp_path: Path) -> None:
    name, video = WITHOUT_TIMES
    (found, usual), (found_by_planes, planes) = both_ways(write_gallery_video(tmp_path / name, video))
    assert found_by_planes == found
    np.testing.assert_array_equal(planes.seconds, usual.seconds)
    np.testing.assert_array_equal(planes.images, usual.images)


@pytest.mark.parametrize("damaged", [False, True])
def test_sound_may_be_the_first_stream(damaged: bool, tmp_path: Path, shrunk: list[Planes]) -> None:
    file = write_gallery_video(tmp_path / "a.avi", Video("mpeg4", frames=40), sound_first=True)
    assert is_plain_avi(file), "it is not looked into before it is decoded"
    if damaged:
        data = bytearray(file.read_bytes())
        half = len(data) // 2
        data[half : half + 300] = bytes(300)
        file.write_bytes(data)
    (found, usual), (found_by_planes, planes) = both_ways(file)
    assert found_by_planes == found
    assert len(planes.images) == len(usual.images) == found.frames
    assert found.frames < 40 if damaged else found.frames == len(shrunk) == 40


@pytest.mark.parametrize("kind", ["cut", "hole", "zeros"])
@pytest.mark.parametrize(
    ("name", "video"), [("a.mp4", Video(frames=60)), ("a.avi", Video("mjpeg", pixels="yuvj420p", frames=60))]
)
def test_a_damaged_file_takes_the_usual_way(kind: str, name: str, video: Video, tmp_path: Path) -> None:
    file = write_gallery_video(tmp_path / name, video)
    data, at = bytearray(file.read_bytes()), file.stat().st_size // 2
    data[at : at + 300] = bytes(300) if kind == "zeros" else b""
    file.write_bytes(data[:at] if kind == "cut" else data)
    (found, usual), (found_by_planes, planes) = both_ways(file)
    assert found.status != "ok"
    assert found_by_planes == found
    assert len(planes.images) == len(usual.images)
    for image, other in zip(planes.images, usual.images, strict=True):
        assert np.abs(image.astype(int) - other).mean() < 2
