"""Stage extract_frames as a process: stopped, killed, out of room, twice at once, given odd input."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mofore.catalog import VideoFile, write_video_list
from tests.helpers.processes import decoders, descendants, has_ended, needs_proc, wait_until
from tests.helpers.video_files import SHARED, all_bytes, make_project, run_stage_script, table, write_video

ODD = SHARED / "videos" / "odd"
COMMAND = [sys.executable, "stages/extract_frames.py"]


def many_videos(project: Path, workers: int, videos: int = 40) -> Path:
    """A project with an own folder of videos and its catalog."""
    make_project(
        project, **{"data.source": "folder", "data.path": "own", "runtime.workers": workers, "frames.short_side": 56}
    )
    first = write_video(project / "own/000.avi", 30, (320, 240))
    for number in range(1, videos):
        # Appended bytes make them different files, of the same pictures.
        (project / f"own/{number:03}.avi").write_bytes(first.read_bytes() + bytes(number))
    (project / "data/raw").mkdir(parents=True)
    write_video_list([VideoFile(f"{n:03}.avi", 1, str(n)) for n in range(videos)], project / "data/raw/files.csv")
    return project


@pytest.mark.slow
@pytest.mark.parametrize("full", ["data", ".scratch"])
@pytest.mark.parametrize("workers", [0, 2])
def test_full_disk_stops_the_stage_in_one_line(tmp_path: Path, tiny_disk: Path, workers: int, full: str) -> None:
    project = many_videos(tmp_path / "project", workers)
    if full == "data":
        shutil.move(project / "data/raw", tiny_disk / "raw")
        (project / "data").rmdir()
    (project / full).symlink_to(tiny_disk)
    ran = run_stage_script(project, "extract_frames")
    assert (ran.returncode, ran.stdout) == (1, "")
    where = "data/frames/" if full == "data" else f"{project}/.scratch/extract_frames/"
    assert ran.stderr.startswith(f"error: no space left on the device writing {where}")
    assert ran.stderr.endswith(": free some space and run `dvc repro` again\n")
    assert ran.stderr.count("\n") == 1


@pytest.mark.slow
@needs_proc
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("workers", [1, 2])
def test_stopped_stage_leaves_no_process(tmp_path: Path, how: signal.Signals, workers: int) -> None:
    project = many_videos(tmp_path / "project", workers)
    with subprocess.Popen(
        COMMAND,
        cwd=project,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Tests that were started in the background inherit an ignored Ctrl-C, and hand it on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    ) as stage:
        wait_until(lambda: len(decoders(stage.pid)) == workers)
        children = descendants(stage.pid)
        if how == signal.SIGINT:
            os.killpg(stage.pid, how)  # as a terminal does
        else:
            stage.send_signal(how)
        _, said = stage.communicate(timeout=30)
    assert stage.returncode == (130 if how == signal.SIGINT else -how)
    if how == signal.SIGINT:
        assert said == ""
    wait_until(lambda: all(map(has_ended, children)))


@pytest.mark.slow
@needs_proc
def test_killed_runs_are_taken_up_and_end_alike(tmp_path: Path) -> None:
    project = many_videos(tmp_path / "project", workers=2, videos=240)
    ran = run_stage_script(project, "extract_frames")
    assert (ran.returncode, ran.stderr) == (0, "")
    wanted = all_bytes(project / "data/frames/packs")
    assert len(wanted) == 62
    rng = random.Random(0)
    scratch = project / ".scratch/extract_frames"
    finished = [0]
    for _ in range(5):
        with subprocess.Popen(COMMAND, cwd=project, stdout=subprocess.DEVNULL) as stage:
            done = len(list(scratch.glob("*/*.json")))
            wait_until(lambda: stage.poll() is not None or len(list(scratch.glob("*/*.json"))) > done)  # noqa: B023
            time.sleep(rng.uniform(0, 0.1))
            stage.kill()
        finished.append(len(list(scratch.glob("*/*.json"))))
    assert finished == sorted(finished), "what was finished stays"
    assert finished[1] > 0
    ran = run_stage_script(project, "extract_frames")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert all_bytes(project / "data/frames/packs") == wanted
    assert not list(scratch.iterdir())


@pytest.mark.slow
def test_same_videos_are_extracted_by_one_of_two_runs_and_used_by_both(tmp_path: Path) -> None:
    project = many_videos(tmp_path / "project", workers=1, videos=20)
    params = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(params.replace("path: own", f"path: {project}/own"))
    copy = tmp_path / "copy"  # as of a run in DVC's queue
    environment = os.environ | {"DVC_ROOT": str(project)}
    with subprocess.Popen(COMMAND, cwd=project, stdout=subprocess.DEVNULL) as first:
        wait_until(lambda: bool(list(project.glob(".scratch/extract_frames/*/*.part"))))
        first.send_signal(signal.SIGSTOP)
        shutil.copytree(project, copy, ignore=shutil.ignore_patterns(".scratch"))
        with subprocess.Popen(COMMAND, cwd=copy, env=environment, stderr=subprocess.PIPE, text=True) as second:
            assert second.stderr
            said = second.stderr.readline()
            first.send_signal(signal.SIGCONT)
            assert said.startswith("another run is extracting the same videos: waiting for it")
            assert first.wait() == 0
            packs = {file: file.stat().st_ino for file in (project / "data/frames/packs").glob("*.bin")}
            assert second.wait() == 0
    assert {file: (copy / file.relative_to(project)).stat().st_ino for file in packs} == packs, "not made again"
    assert not list((project / ".scratch/extract_frames").iterdir())


@pytest.mark.slow
def test_stage_with_bad_videos_among_good_ones(tmp_path: Path) -> None:
    project = make_project(tmp_path, **{"data.source": "folder", "data.path": "own", "data.max_bad_share": 0.2})
    for number in range(10):
        with write_video(project / f"own/walk/{number}.avi").open("ab") as file:
            file.write(bytes(number))  # no copies of each other
    (project / "own/walk/6.avi").write_text("no video")
    (project / "own/walk/7.avi").write_bytes(b"")
    lines = [f"walk/{number}.avi,{'test' if number < 3 else 'train'}\n" for number in range(10)]
    (project / "own/videos.csv").write_text("path,split\n" + "".join(lines))
    assert run_stage_script(project, "download").returncode == 0
    ran = run_stage_script(project, "extract_frames")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == (
        "extract_frames: 48 frames of 8 videos, 0.0 MB; 2 of 10 videos cannot be used: "
        "walk/6.avi (not a video, or of a format that neither OpenCV nor PyAV can read), "
        "walk/7.avi (empty file, zero bytes); data/frames/packs/outcomes.csv names each with its reason\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "data/raw/files.csv: no such file: run the stage download first, or `dvc repro`"),
        ({"frames.short_sid": 64}, "params.yaml: unknown key 'frames.short_sid' - did you mean 'frames.short_side'?"),
    ],
)
def test_wrong_input_gets_one_line(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    ran = run_stage_script(make_project(tmp_path, **changes), "extract_frames")
    assert (ran.returncode, ran.stdout, ran.stderr) == (1, "", f"error: {message}\n")


@pytest.mark.slow
@pytest.mark.skipif(not ODD.exists(), reason="the odd videos are not here")
def test_odd_videos(tmp_path: Path) -> None:
    """None of them crashes or prints; what can be decoded is used, looked at as its file says."""
    project = make_project(tmp_path, **{"data.source": "folder", "data.path": str(ODD), "data.max_bad_share": 0.5})
    for stage in ("download", "extract_frames"):
        ran = run_stage_script(project, stage)
        assert (ran.returncode, ran.stderr) == (0, ""), stage
    rows = table(project)
    sizes = {name: (int(row["frames"]), int(row["width"]), int(row["height"])) for name, row in rows.items()}
    assert len(rows) == 11
    assert {name: row["reason"] for name, row in rows.items() if row["reason"]} == {
        "AudioVideoInterleave.avi": "no frame can be decoded (codec mpeg4)",
        "Mpeg4.mp4": "no video stream, nothing to decode",
        "corrupted.mp4": "damaged: 28 of 50 frames decoded",
    }
    assert rows["corrupted.mp4"]["status"] == "truncated"
    assert (sizes["video_0.mov"], sizes["video_90.mov"]) == ((3, 568, 320), (3, 320, 568))
    assert sizes["newtonscradle.gif"] == (36, 200, 150)
    assert sizes["av1_video.mkv"] == (125, 640, 360)
