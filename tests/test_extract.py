"""Packed frames hold what the videos show, whatever else happens."""

import csv
import errno
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from cv2.typing import MatLike
from hypothesis import given
from hypothesis import strategies as st
from video_files import SHARED, bound_by_permissions, make_project, run_stage_script, write_video

from mofore import extract
from mofore.catalog import Video, write_catalog
from mofore.config import Frames, Params
from mofore.errors import UserError
from mofore.extract import Extracted, extract_frames, extract_videos, resize, write_pack

ODD = SHARED / "videos" / "odd"
SMALL = Frames(short_side=16, jpeg_quality=90)


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
    write_catalog([Video(name, "label", name, "train") for name in names])


def table(project: Path = Path()) -> dict[str, dict[str, str]]:
    """The rows of videos.csv by their first column."""
    with (project / "data/frames/videos.csv").open(encoding="utf-8", newline="") as file:
        return {row["video"]: row for row in csv.DictReader(file)}


def column(name: str) -> list[str]:
    return [row[name] for row in table().values()]


def stored() -> list[MatLike]:
    """All stored frames, in the order of the index."""
    images = []
    for pack, offset, length in np.load("data/frames/index.npy").tolist():
        data = Path(f"data/frames/pack-{pack:05d}.bin").read_bytes()[offset : offset + length]
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert image is not None
        images.append(image)
    return images


def all_bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_frames_in_order_and_to_size(project: Params) -> None:
    write_video(Path("own/wide.avi"), frames=5, size=(96, 64))
    write_video(Path("own/tall.avi"), frames=3, size=(40, 64))
    write_video(Path("own/tiny.avi"), frames=2, size=(12, 8))
    list_own("wide.avi", "tall.avi", "tiny.avi")
    line = extract_frames(project)
    assert line.startswith("extract_frames: 10 frames of 3 videos, 0.0 MB")
    assert [",".join(row.values()) for row in table().values()] == [
        "tall.avi,label,tall.avi,train,3,25.0,40,64,ok,",
        "tiny.avi,label,tiny.avi,train,2,25.0,12,8,ok,",
        "wide.avi,label,wide.avi,train,5,25.0,96,64,ok,",
    ]
    images = stored()
    assert [image.shape for image in images] == [(26, 16, 3)] * 3 + [(16, 24, 3)] * 7
    # The bar stands at pixel 4 t of 96, so it is at t of 24.
    assert [int(image.sum((0, 2)).argmax()) for image in images[5:]] == [0, 1, 2, 3, 4]
    index = np.load("data/frames/index.npy")
    assert index.dtype == np.int64
    assert index[:, 1].tolist() == [0, *index[:-1, 2].cumsum().tolist()]


def test_bytes_do_not_depend_on_workers(project: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "PACK_VIDEOS", 2)
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
        made.append(all_bytes(Path("data/frames")))
    assert sorted(made[0]) == ["index.npy", "pack-00000.bin", "pack-00001.bin", "pack-00002.bin", "videos.csv"]
    assert made[0] == made[1] == made[2]
    assert np.load("data/frames/index.npy")[:, 0].tolist() == [0] * 5 + [1] * 5 + [2] * 6


def test_leftovers_go_and_cached_files_stay(project: Params) -> None:
    write_video(Path("own/a.avi"))
    list_own("a.avi")
    extract_frames(project)
    frames = Path("data/frames")
    wanted = all_bytes(frames)
    shutil.copy(frames / "pack-00000.bin", frames / "pack-00007.bin")
    (frames / "pack-00000.bin").write_bytes(b"cached")
    os.link(frames / "pack-00000.bin", "cache")
    extract_frames(project)
    assert all_bytes(frames) == wanted
    assert Path("cache").read_bytes() == b"cached"


def test_unusable_among_good_ones(project: Params) -> None:
    write_video(Path("own/good.avi"))
    Path("own/empty.mp4").touch()
    Path("own/text.mp4").write_text("this is no video\n" * 100)
    Path("own/linked.mp4").symlink_to("gone.mp4")
    list_own("good.avi", "empty.mp4", "text.mp4", "vanished.mp4", "linked.mp4")
    project.data.max_bad_share = 0.8
    assert extract_frames(project) == (
        "extract_frames: 6 frames of 1 video, 0.0 MB; 4 of 5 videos cannot be used: "
        "empty.mp4 (empty file, zero bytes), linked.mp4 (No such file or directory), "
        "text.mp4 (not a video, or of a format that OpenCV cannot read), vanished.mp4 (No such file or directory); "
        "data/frames/videos.csv names each with its reason"
    )
    rows = table()
    assert {name: row["status"] for name, row in rows.items()} == {
        "empty.mp4": "unreadable", "good.avi": "ok", "linked.mp4": "unreadable", "text.mp4": "unreadable",
        "vanished.mp4": "unreadable",
    }  # fmt: skip
    assert ",".join(rows["empty.mp4"].values()) == (
        "empty.mp4,label,empty.mp4,train,0,0.0,0,0,unreadable,empty file, zero bytes"
    )
    assert len(stored()) == 6


def test_file_that_may_not_be_read(project: Params) -> None:
    locked = write_video(Path("own/locked.avi"))
    locked.chmod(0)
    with bound_by_permissions():
        (found,) = write_pack(Path("pack"), [locked], SMALL)
    assert found == Extracted(reason="Permission denied")


def test_too_many_bad_ones_stop(project: Params) -> None:
    write_video(Path("own/good.avi"))
    Path("own/empty.mp4").touch()
    list_own("good.avi", "empty.mp4")
    project.data.max_bad_share = 0.5
    assert "1 of 2 videos cannot be used" in extract_frames(project)
    project.data.max_bad_share = 0.49
    with pytest.raises(UserError, match=r"own: 1 of 2 videos cannot be used: empty\.mp4 .* raise data\.max_bad_share"):
        extract_frames(project)
    assert column("status") == ["unreadable", "ok"]


def test_nothing_usable_stops(project: Params) -> None:
    Path("own/empty.mp4").touch()
    list_own("empty.mp4")
    project.data.max_bad_share = 1.0
    with pytest.raises(UserError, match=r"own: 1 of 1 videos cannot be used: .* nothing is left to work with"):
        extract_frames(project)
    assert column("status") == ["unreadable"]


def test_cut_off_video_gives_the_frames_it_has(project: Params) -> None:
    whole = write_video(Path("own/whole.avi"), frames=20, size=(320, 240))
    Path("own/cut.avi").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    list_own("whole.avi", "cut.avi")
    extract_frames(project)
    assert column("status") == ["ok", "ok"]
    cut, frames = map(int, column("frames"))
    assert frames == 20
    assert 5 <= cut <= 12


@pytest.mark.parametrize("name", ["a b.avi", "a,b.avi", 'a"b.avi', "a\nb.avi", "%03d.avi", "http:x.avi", "été 猫.avi"])
def test_odd_names_are_read(project: Params, name: str) -> None:
    write_video(Path("own") / name, frames=2)
    list_own(name)
    extract_frames(project)
    assert [(row["video"], row["frames"], row["status"]) for row in table().values()] == [(name, "2", "ok")]


def test_bare_name_is_not_taken_for_a_url(project: Params) -> None:
    write_video(Path("http:x.avi"), frames=2)
    (found,) = write_pack(Path("pack"), [Path("http:x.avi")], SMALL)
    assert len(found.lengths) == 2


def test_too_thin_to_store(project: Params) -> None:
    write_video(Path("own/thin.avi"), frames=1, size=(4096, 2))
    write_video(Path("own/good.avi"))
    list_own("thin.avi", "good.avi")
    project.frames, project.data.max_bad_share = Frames(short_side=64, jpeg_quality=90), 0.5
    assert "thin.avi (too long and thin to store, 4096x2)" in extract_frames(project)


def test_frames_that_change_their_size_are_stored_alike(project: Params) -> None:
    # Two MPEG-1 streams back to back are one stream whose pictures change their size.
    parts = [write_video(Path(name), 4, size, "PIM1") for name, size in [("a.mpg", (64, 48)), ("b.mpg", (96, 48))]]
    Path("own/both.mpg").write_bytes(b"".join(part.read_bytes() for part in parts))
    list_own("both.mpg")
    extract_frames(project)
    assert int(column("frames")[0]) > 4  # so it went on into the second stream
    assert {image.shape for image in stored()} == {(16, 21, 3)}


def test_quality_counts(project: Params) -> None:
    write_video(Path("own/a.avi"), size=(96, 64))
    list_own("a.avi")
    sizes = []
    for quality in (20, 95):
        project.frames = Frames(short_side=64, jpeg_quality=quality)
        extract_frames(project)
        sizes.append(Path("data/frames/pack-00000.bin").stat().st_size)
    assert sizes[0] < sizes[1]


SIDES = st.integers(16, 300)


@given(SIDES, SIDES, st.integers(4, 64), st.integers(4, 64))
def test_resize_moves_and_brightens_nothing(width: int, height: int, new_width: int, new_height: int) -> None:
    """A slope from left to right stays where it is, to less than a fifth of a pixel."""
    slope = (np.arange(width) + 0.5) / width * 255
    image = np.broadcast_to(slope.round().astype(np.uint8)[None, :, None], (height, width, 3))
    small = resize(np.ascontiguousarray(image), (new_width, new_height))
    assert small.shape == (new_height, new_width, 3)
    assert np.ptp(small.astype(int), axis=(0, 2)).max() <= 1
    wanted = (np.arange(new_width) + 0.5) / new_width * 255
    assert np.abs(small[0, :, 0] - wanted)[1:-1].max() < 1.5 + 0.2 * 255 / min(width, new_width)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_full_disk_is_named(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.avi")
    pack = tmp_path / "pack-00000.bin"
    pack.symlink_to("/dev/full")
    with pytest.raises(OSError, match=str(pack)) as raised:
        list(write_pack(pack, [video], SMALL))
    assert raised.value.errno == errno.ENOSPC


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    if mount is None or subprocess.run([mount, "-t", "tmpfs", "-o", "size=64k", "none", disk], check=False).returncode:
        pytest.skip("may not mount a file system here")
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("workers", [0, 2])
def test_full_disk_stops_the_stage_in_one_line(tmp_path: Path, tiny_disk: Path, workers: int) -> None:
    project = make_project(
        tmp_path / "project", **{"data.source": "folder", "data.path": "own", "runtime.workers": workers}
    )
    first = write_video(project / "own/0.avi", frames=30, size=(320, 240))
    for number in range(1, 100):  # two packs
        (project / f"own/{number}.avi").hardlink_to(first)
    (project / "data").symlink_to(tiny_disk)
    (tiny_disk / "raw").mkdir()
    write_catalog([Video(f"{n}.avi", "", str(n), "train") for n in range(100)], tiny_disk / "raw/videos.csv")
    ran = run_stage_script(project, "extract_frames")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == (
        "error: no space left on the device writing data/frames/pack-00000.bin: free some space and run `dvc repro` "
        "again\n"
    )


def test_dead_worker_is_told_with_its_videos(project: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of four packs the first is done, two hold up their workers with a pipe nobody writes to, the last has to wait."""
    monkeypatch.setattr(extract, "PACK_VIDEOS", 2)
    for number in (0, 1, 3, 5, 6, 7):
        write_video(Path(f"own/{number}.avi"))
    for number in (2, 4):
        os.mkfifo(f"own/{number}.avi")
    frames = Path("data/frames")
    frames.mkdir(parents=True)
    videos = [Video(f"{number}.avi", "", str(number), "train") for number in range(8)]
    running = extract_videos(Path("own"), videos, frames, SMALL, workers=2)
    assert [next(running).reason for _ in range(2)] == ["", ""]
    wait_until(lambda: (frames / "pack-00001.bin").exists() and (frames / "pack-00002.bin").exists())
    for worker in multiprocessing.active_children():
        worker.kill()
    suspects = r"own/2\.avi to own/3\.avi or own/4\.avi to own/5\.avi \("
    with pytest.raises(UserError, match=f"a worker process died, on one of the videos {suspects}"):
        next(running)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_stopped_stage_leaves_no_process(tmp_path: Path, how: signal.Signals) -> None:
    project = make_project(tmp_path / "project", **{"data.source": "folder", "data.path": "own", "runtime.workers": 2})
    (project / "own").mkdir()
    os.mkfifo(project / "own/64.avi")
    (project / "data/raw").mkdir(parents=True)
    write_catalog([Video(f"{n}.avi", "", str(n), "train") for n in range(65)], project / "data/raw/videos.csv")
    command = [sys.executable, "stages/extract_frames.py"]
    with subprocess.Popen(
        command,
        cwd=project,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Tests that were started in the background inherit an ignored Ctrl-C, and hand it on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    ) as stage:
        wait_until((project / "data/frames/pack-00001.bin").exists)
        children = Path(f"/proc/{stage.pid}/task/{stage.pid}/children").read_text().split()
        assert len(children) >= 2
        if how == signal.SIGINT:
            os.killpg(stage.pid, how)  # as a terminal does
        else:
            stage.send_signal(how)
        _, said = stage.communicate(timeout=30)
    assert stage.returncode == (130 if how == signal.SIGINT else -how)
    if how == signal.SIGINT:
        assert said == ""
    wait_until(lambda: not any(Path(f"/proc/{child}").exists() for child in children))


def wait_until(true: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_stage_with_bad_videos_among_good_ones(tmp_path: Path) -> None:
    project = make_project(tmp_path, **{"data.source": "folder", "data.path": "own", "data.max_bad_share": 0.2})
    for number in range(10):
        write_video(project / f"own/walk/{number}.avi")
    (project / "own/walk/6.avi").write_text("no video")
    (project / "own/walk/7.avi").write_bytes(b"")
    lines = [f"walk/{number}.avi,{'test' if number < 3 else 'train'}\n" for number in range(10)]
    (project / "own/videos.csv").write_text("path,split\n" + "".join(lines))
    assert run_stage_script(project, "download").returncode == 0
    ran = run_stage_script(project, "extract_frames")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == (
        "extract_frames: 48 frames of 8 videos, 0.0 MB; 2 of 10 videos cannot be used: "
        "walk/6.avi (not a video, or of a format that OpenCV cannot read), walk/7.avi (empty file, zero bytes); "
        "data/frames/videos.csv names each with its reason\n"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "data/raw/videos.csv: no such file: run the stage download first, or `dvc repro`"),
        ({"frames.short_sid": 64}, "params.yaml: unknown key 'frames.short_sid' - did you mean 'frames.short_side'?"),
    ],
)
def test_wrong_input_gets_one_line(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    ran = run_stage_script(make_project(tmp_path, **changes), "extract_frames")
    assert (ran.returncode, ran.stdout, ran.stderr) == (1, "", f"error: {message}\n")


@pytest.mark.skipif(not ODD.exists(), reason="the odd videos are not here")
def test_odd_videos(tmp_path: Path) -> None:
    """None of them crashes or prints; what OpenCV can decode is used, looked at as its file says."""
    project = make_project(tmp_path, **{"data.source": "folder", "data.path": str(ODD), "data.max_bad_share": 0.5})
    for stage in ("download", "extract_frames"):
        ran = run_stage_script(project, stage)
        assert (ran.returncode, ran.stderr) == (0, ""), stage
    rows = table(project)
    sizes = {name: (int(row["frames"]), int(row["width"]), int(row["height"])) for name, row in rows.items()}
    assert len(rows) == 11
    assert rows["Mpeg4.mp4"]["reason"] == "not a video, or of a format that OpenCV cannot read"
    assert rows["AudioVideoInterleave.avi"]["reason"].startswith("no frame can be decoded (codec ")
    assert (sizes["video_0.mov"], sizes["video_90.mov"]) == ((3, 568, 320), (3, 320, 568))
    assert sizes["newtonscradle.gif"] == (36, 200, 150)
    assert 0 < sizes["corrupted.mp4"][0] < 50
