"""AVI files: their padding, and errors of the disk."""

import errno
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mofore.errors import UserError
from mofore.videos.synthetic import avi
from mofore.videos.synthetic.avi import write_avi

Frames = list[NDArray[np.uint8]]


@pytest.fixture
def frames() -> Frames:
    """A bright bar that moves one pixel per frame."""
    images = [np.zeros((120, 160, 3), np.uint8) for _ in range(30)]
    for t, image in enumerate(images):
        image[:, 20 + t : 50 + t] = 200
    return images


def decode(path: Path) -> Frames:
    frames: Frames = []
    capture = cv2.VideoCapture(str(path))
    while (read := capture.read())[0]:
        frames.append(np.asarray(read[1], np.uint8))
    return frames


def test_padded_video_has_its_size_and_decodes_to_the_same_frames(tmp_path: Path, frames: Frames) -> None:
    plain, padded = tmp_path / "plain.avi", tmp_path / "padded.avi"
    write_avi(plain, frames, 25, (160, 120), size=0)
    write_avi(padded, frames, 25, (160, 120), size=100_000)
    assert padded.stat().st_size == 100_000
    data = padded.read_bytes()
    assert int.from_bytes(data[4:8], "little") == 100_000 - 8  # the RIFF chunk spans the file
    natural = plain.stat().st_size
    assert data[natural : natural + 4] == b"JUNK"
    assert int.from_bytes(data[natural + 4 : natural + 8], "little") == 100_000 - natural - 8
    shown, expected = decode(padded), decode(plain)
    assert len(shown) == len(expected) == len(frames)
    assert all(np.array_equal(a, b) for a, b in zip(shown, expected, strict=True))
    assert np.abs(np.array(shown, float) - np.array(frames)).mean() < 8
    capture = cv2.VideoCapture(str(padded))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == len(frames)
    assert capture.get(cv2.CAP_PROP_FPS) == 25


def test_a_video_larger_than_the_given_size_is_not_cut(tmp_path: Path, frames: Frames) -> None:
    path = tmp_path / "large.avi"
    write_avi(path, frames, 25, (160, 120), size=100)
    assert path.stat().st_size > 100
    assert len(decode(path)) == len(frames)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_raises_an_error_that_names_the_file(tmp_path: Path, frames: Frames) -> None:
    path = tmp_path / "video.avi"
    path.symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"video\.avi") as caught:
        write_avi(path, frames, 25, (160, 120), size=100_000)
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(path)


def test_a_video_truncated_by_a_full_disk_is_detected_even_if_space_is_free_again(
    tmp_path: Path, frames: Frames
) -> None:
    path = tmp_path / "video.avi"
    write_avi(path, frames, 25, (160, 120), size=0)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(OSError, match="No space left") as caught:
        avi._pad(path, 100_000)
    assert caught.value.errno == errno.ENOSPC


def test_a_missing_folder_is_named(tmp_path: Path, frames: Frames) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        write_avi(tmp_path / "nowhere" / "video.avi", frames, 25, (160, 120), size=0)


def test_a_missing_codec_is_a_user_error(tmp_path: Path, frames: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(avi, "CODEC", "????")
    with pytest.raises(UserError, match=r"video\.avi: OpenCV cannot write"):
        write_avi(tmp_path / "video.avi", frames, 25, (160, 120), size=0)
