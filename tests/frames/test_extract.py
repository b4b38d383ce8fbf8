"""The packs, the index and `outcomes.csv` that extract_frames writes, for good and for damaged videos."""

import os
import random
import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from cv2.typing import MatLike

from mofore.catalog import VideoFile, write_video_list
from mofore.config import Frames, Params
from mofore.errors import UserError
from mofore.frames import extract
from mofore.frames.extract import extract_frames, videos_per_pack
from tests.helpers.video_files import all_bytes, table, write_video

av = pytest.importorskip("av")
SMALL = Frames(short_side=16, fps=0, jpeg_quality=90)


@pytest.fixture
def project(params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """Parameters for the folder `own`, in an empty project in which the test runs; `list_own` makes the catalog."""
    monkeypatch.chdir(tmp_path)
    params.data.source, params.data.path = "folder", "own"
    params.frames = SMALL
    Path("own").mkdir()
    return params


def list_own(*names: str) -> None:
    Path("data/raw").mkdir(parents=True, exist_ok=True)
    write_video_list([VideoFile(name, 1, name) for name in names])


def column(name: str) -> list[str]:
    return [row[name] for row in table().values()]


def stored() -> list[MatLike]:
    """All stored frames, in the order of the index."""
    images = []
    for pack, offset, length in np.load("data/frames/packs/index.npy").tolist():
        data = Path(f"data/frames/packs/pack-{pack:05d}.bin").read_bytes()[offset : offset + length]
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert image is not None
        images.append(image)
    return images


def test_frames_are_in_order_and_have_the_right_size(project: Params) -> None:
    write_video(Path("own/wide.avi"), frames=5, size=(96, 64))
    write_video(Path("own/tall.avi"), frames=3, size=(40, 64))
    write_video(Path("own/tiny.avi"), frames=2, size=(12, 8))
    list_own("wide.avi", "tall.avi", "tiny.avi")
    line = extract_frames(project)
    assert line.startswith("extract_frames: 10 frames of 3 videos, 0.0 MB")
    assert [",".join(row.values()) for row in table().values()] == [
        "tall.avi,3,25.0,40,64,ok,",
        "tiny.avi,2,25.0,12,8,ok,",
        "wide.avi,5,25.0,96,64,ok,",
    ]
    images = stored()
    assert [image.shape for image in images] == [(26, 16, 3)] * 3 + [(16, 24, 3)] * 7
    # In frame t the bar is at pixel 4 t of 96, so in the stored frame it is at pixel t of 24.
    assert [int(image.sum((0, 2)).argmax()) for image in images[5:]] == [0, 1, 2, 3, 4]
    index = np.load("data/frames/packs/index.npy")
    assert index.dtype == np.int64
    assert index[:, 1].tolist() == [0, *index[:-1, 2].cumsum().tolist()]


@pytest.mark.slow
def test_bytes_do_not_depend_on_workers(project: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "videos_per_pack", lambda videos: 2)
    names = [f"{number}.avi" for number in range(5)]
    for number, name in enumerate(names):
        write_video(Path("own") / name, frames=2 + number)
    Path("own/2.avi").write_bytes(b"")
    list_own(*names)
    project.data.max_bad_share = 0.5
    made = []
    for workers in (0, 1, 2):
        project.runtime.workers = workers
        extract_frames(project)
        made.append(all_bytes(Path("data/frames/packs")))
    assert sorted(made[0]) == ["index.npy", "outcomes.csv", "pack-00000.bin", "pack-00001.bin", "pack-00002.bin"]
    assert made[0] == made[1] == made[2]
    index = np.load("data/frames/packs/index.npy")
    assert index[:, 0].tolist() == [0] * 5 + [1] * 5 + [2] * 6
    np.save("wanted.npy", index)
    assert Path("wanted.npy").read_bytes() == made[0]["index.npy"]


def test_leftovers_are_removed_and_cached_files_stay(project: Params) -> None:
    write_video(Path("own/a.avi"))
    list_own("a.avi")
    extract_frames(project)
    frames = Path("data/frames/packs")
    wanted = all_bytes(frames)
    shutil.copy(frames / "pack-00000.bin", frames / "pack-00007.bin")
    (frames / "pack-00000.bin").write_bytes(b"cached")
    os.link(frames / "pack-00000.bin", "cache")
    extract_frames(project)
    assert all_bytes(frames) == wanted
    assert Path("cache").read_bytes() == b"cached"


def test_unusable_videos_among_good_ones(project: Params) -> None:
    write_video(Path("own/good.avi"))
    Path("own/empty.mp4").touch()
    Path("own/text.mp4").write_text("this is no video\n" * 100)
    Path("own/linked.mp4").symlink_to("gone.mp4")
    list_own("good.avi", "empty.mp4", "text.mp4", "vanished.mp4", "linked.mp4")
    project.data.max_bad_share = 0.8
    assert extract_frames(project) == (
        "extract_frames: 6 frames of 1 video, 0.0 MB; 4 of 5 videos cannot be used: "
        "empty.mp4 (empty file, zero bytes), linked.mp4 (No such file or directory), "
        "text.mp4 (not a video, or of a format that neither OpenCV nor PyAV can read), "
        "vanished.mp4 (No such file or directory); data/frames/packs/outcomes.csv names each with its reason"
    )
    rows = table()
    assert {name: row["status"] for name, row in rows.items()} == {
        "empty.mp4": "unreadable", "good.avi": "ok", "linked.mp4": "unreadable", "text.mp4": "unreadable",
        "vanished.mp4": "unreadable",
    }  # fmt: skip
    assert ",".join(rows["empty.mp4"].values()) == ("empty.mp4,0,0.0,0,0,unreadable,empty file, zero bytes")
    assert len(stored()) == 6


def test_too_many_unusable_videos_stop_the_stage(project: Params) -> None:
    write_video(Path("own/good.avi"))
    Path("own/empty.mp4").touch()
    list_own("good.avi", "empty.mp4")
    project.data.max_bad_share = 0.5
    assert "1 of 2 videos cannot be used" in extract_frames(project)
    project.data.max_bad_share = 0.49
    with pytest.raises(UserError, match=r"own: 1 of 2 videos cannot be used: empty\.mp4 .* raise data\.max_bad_share"):
        extract_frames(project)
    assert column("status") == ["unreadable", "ok"]


def test_no_usable_video_stops_the_stage(project: Params) -> None:
    Path("own/empty.mp4").touch()
    list_own("empty.mp4")
    project.data.max_bad_share = 1.0
    with pytest.raises(UserError, match=r"own: 1 of 1 videos cannot be used: .* put other videos there"):
        extract_frames(project)
    assert column("status") == ["unreadable"]


@pytest.mark.parametrize("name", ["a b.avi", "a,b.avi", 'a"b.avi', "a\nb.avi", "%03d.avi", "http:x.avi", "été 猫.avi"])
def test_odd_names_are_read(project: Params, name: str) -> None:
    write_video(Path("own") / name, frames=2)
    list_own(name)
    extract_frames(project)
    assert [(row["video"], row["frames"], row["status"]) for row in table().values()] == [(name, "2", "ok")]


@pytest.mark.slow
def test_lower_jpeg_quality_makes_smaller_packs(project: Params) -> None:
    write_video(Path("own/a.avi"), size=(96, 64))
    list_own("a.avi")
    sizes = []
    for quality in (20, 95):
        project.frames = Frames(short_side=64, fps=0, jpeg_quality=quality)
        extract_frames(project)
        sizes.append(Path("data/frames/packs/pack-00000.bin").stat().st_size)
    assert sizes[0] < sizes[1]


def test_damaged_copies_each_get_a_row(project: Params) -> None:
    """Each file with changed, missing or moved bytes gets its row, and the index matches the stored frames."""
    rng = random.Random(1)
    whole = [write_video(Path(f"whole{suffix}"), 20, (96, 64), codec) for suffix, codec in CONTAINERS.items()]
    for number in range(30):
        source = whole[number % len(whole)]
        data = bytearray(source.read_bytes())
        if number % 3 == 0:
            for _ in range(rng.choice([1, 10, 100])):
                data[rng.randrange(len(data))] = rng.randrange(256)
        elif number % 3 == 1:
            del data[rng.randrange(len(data)) :]
        else:
            at = rng.randrange(100, len(data))
            data = data[:100] + data[at:] + data[100:at]
        Path(f"own/{number}{source.suffix}").write_bytes(data)
    for file in whole:
        shutil.copy(file, "own")
    list_own(*(file.name for file in Path("own").iterdir()))
    project.data.max_bad_share = 1.0
    extract_frames(project)
    rows = table()
    assert len(rows) == 34
    for row in rows.values():
        assert row["status"] in ("ok", "truncated", "unreadable")
        assert (row["status"] == "ok") == (row["reason"] == "")
        assert (row["status"] == "unreadable") == (row["frames"] == "0")
    assert [rows[file.name]["status"] for file in whole] == ["ok"] * 4
    assert len(stored()) == sum(int(row["frames"]) for row in rows.values())


CONTAINERS = {".avi": "MJPG", ".mp4": "mp4v", ".mkv": "MJPG", ".mpg": "PIM1"}


def write_variable(path: Path, seconds: list[float]) -> None:
    """A video whose frame number t, of brightness 10 t, is shown from `seconds[t]` on."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=1000)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.options = {"crf": "1", "bf": "0"}
        for t, second in enumerate(seconds):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 10 * t, np.uint8), format="bgr24")
            frame.pts, frame.time_base = round(1000 * second), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def shown() -> list[int]:
    """The number of each stored frame of a variable video."""
    return [round(float(image.mean()) / 10) for image in stored()]


def test_variable_frame_rates_are_resampled_by_time_stamps(project: Params) -> None:
    write_variable(Path("own/a.mp4"), [0, 0.1, 0.2, 0.25, 0.3, 0.9, 1.0])
    list_own("a.mp4")
    extract_frames(project)
    assert shown() == [0, 1, 2, 3, 4, 5, 6], "as they are"
    project.frames = replace(project.frames, fps=10.0)
    assert extract_frames(project).startswith("extract_frames: 12 frames of 1 video")
    assert shown() == [0, 1, 2, 4, 4, 4, 4, 4, 4, 5, 6, 6]
    assert column("fps") == ["10.0"]


@pytest.mark.parametrize("fps", [10.0, 25.0, 30.0, 60.0])
def test_resampled_videos_last_as_long_as_before(project: Params, fps: float) -> None:
    for number, rate in enumerate([15, 25, 30, 60]):
        writer = cv2.VideoWriter(f"own/{number}.avi", cv2.VideoWriter.fourcc(*"MJPG"), rate, (32, 32))
        for _ in range(2 * rate):
            writer.write(np.zeros((32, 32, 3), np.uint8))
        writer.release()
    list_own(*(f"{number}.avi" for number in range(4)))
    assert "warning: frame rates differ, 15 to 60 per second, so clips" in extract_frames(project)
    project.frames = replace(project.frames, fps=fps)
    assert "frame rates differ" not in extract_frames(project)
    assert {abs(int(frames) - 2 * fps) <= 1 for frames in column("frames")} == {True}


@pytest.mark.parametrize(("videos", "in_pack"), [(1, 4), (300, 4), (2_000, 31), (13_320, 64), (1_000_000, 64)])
def test_number_of_videos_per_pack(videos: int, in_pack: int) -> None:
    assert videos_per_pack(videos) == in_pack
