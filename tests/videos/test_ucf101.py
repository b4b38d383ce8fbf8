"""Source ucf101: by download, from the user's archive or folder, and after kills."""

import csv
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from mofore.catalog import VideoFile, video_root, write_video_list
from mofore.config import Params
from mofore.errors import UserError
from mofore.utils.scratch import locked
from mofore.videos.archive import RAR_TOOLS
from mofore.videos.assign import assign
from mofore.videos.ucf101 import OFFICIAL, Sources, get_ucf101
from tests.helpers.bad_server import BadServer, bad_server
from tests.helpers.processes import wait_until
from tests.helpers.ucf101_files import CLASSES, VIDEOS, contents, lists, rar_bytes, write_files, zip_bytes
from tests.helpers.video_files import ROOT, SHARED, make_project, run_stage_script, write_video

OFFICIAL_LISTS = SHARED / "splits" / "ucfTrainTestlist"
RAW = Path("data/raw")
SCRATCH = Path(".scratch/download")
WAITS = (0.0, 0.0)
SMALL = "the lists have 18 videos, 3 classes and 3 groups, not the 13,320, 101 and 25 of UCF101"
needs_rar_tool = pytest.mark.skipif(not any(map(shutil.which, RAR_TOOLS)), reason="no RAR tool is installed")


@dataclass
class Project:
    """A project in the working directory, its parameters, and a server of a small copy of UCF101."""

    params: Params
    server: BadServer
    sources: Sources

    def get(self) -> tuple[list[str], list[str]]:
        """Run source ucf101; return the paths of its videos, and its notes."""
        videos, notes = get_ucf101(self.params.data, RAW, self.sources, WAITS)
        root = video_root(self.params.data)
        assert all((root / video.path).is_file() for video in videos)
        assert not list(RAW.glob("unpacking-*"))
        return [video.path for video in videos], notes

    def requested(self) -> list[str]:
        return [path for path, _ in self.server.asked]


@pytest.fixture
def project(params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    RAW.mkdir(parents=True)
    Path("data/videos").mkdir()
    params.data.source, params.data.path, params.data.split = "ucf101", "data/videos", 1
    with bad_server() as server:
        yield Project(
            params,
            server,
            Sources(
                zip=server.add("/videos.zip", zip_bytes(contents() | {"UCF-101/TSP_Flows/a.mat": b"stray"})),
                rar=server.add("/videos.rar", rar_bytes(contents())),
                lists=server.add("/lists.zip", zip_bytes(lists())),
            ),
        )


def unpacked(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


EXPECTED = {path.removeprefix("UCF-101/"): content for path, content in contents().items()}


def test_the_zip_is_downloaded_and_unpacked(project: Project) -> None:
    videos, notes = project.get()
    assert sorted(videos) == sorted(VIDEOS)
    assert notes == [
        SMALL,
        "no listed video is missing",
        "left out: 1 file not in the lists, UCF-101/TSP_Flows/a.mat",
    ]
    assert unpacked(RAW / "videos") == EXPECTED
    assert sorted(os.listdir(RAW / "splits")) == sorted(name.split("/")[1] for name in lists())
    assert project.requested() == ["/lists.zip", "/videos.zip"]
    assert sorted(os.listdir(SCRATCH)) == [f"{project.sources.zip.sha256}.zip", "lock"]


def test_the_archive_is_downloaded_once(project: Project) -> None:
    project.get()
    project.get()
    assert project.requested() == ["/lists.zip", "/videos.zip", "/lists.zip"]
    assert unpacked(RAW / "videos") == EXPECTED


def test_files_of_an_earlier_run_are_replaced(project: Project) -> None:
    write_files(RAW, {"videos/Bow/v_Bow_g01_c01.avi": b"demo", "splits/old.txt": b"", "unpacking-x/all/half.avi": b""})
    project.get()
    assert unpacked(RAW / "videos") == EXPECTED
    assert sorted(os.listdir(RAW)) == ["splits", "videos"]


def test_scratch_is_in_the_original_repository(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "original"))
    project.get()
    assert (tmp_path / "original/.scratch/download/lock").exists()
    assert not SCRATCH.exists()


@needs_rar_tool
def test_if_the_zip_fails_the_rar_is_used(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.server.tricks["/videos.zip"] = ["early", "gone"]
    videos, _ = project.get()
    assert sorted(videos) == sorted(VIDEOS)
    assert unpacked(RAW / "videos") == EXPECTED
    assert project.requested() == ["/lists.zip", "/videos.zip", "/videos.zip", "/videos.rar"]
    told = capsys.readouterr().err.splitlines()[1]
    assert told.startswith(f"download: {project.sources.zip.url}: the server answers 404 Not Found")
    assert told.endswith(f"; trying {project.sources.rar.url}")
    assert (SCRATCH / f"{project.sources.rar.sha256}.rar").exists()


def test_the_rar_is_not_downloaded_if_it_cannot_be_unpacked(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.server.tricks["/videos.zip"] = ["gone"]
    monkeypatch.setenv("PATH", "nowhere")
    with pytest.raises(
        UserError, match=r"/videos\.rar: a RAR archive, and no tool that can unpack it is installed .*: install"
    ):
        project.get()
    assert "/videos.rar" not in project.requested()


@needs_rar_tool
def test_if_all_downloads_fail_the_message_says_what_to_do(project: Project) -> None:
    project.server.tricks["/videos.zip"] = project.server.tricks["/videos.rar"] = ["gone", "gone"]
    with pytest.raises(
        UserError, match=r"/videos\.rar: .* 404 .*; you can also get UCF101 yourself and set data\.path to"
    ):
        project.get()
    project.server.tricks["/lists.zip"] = ["gone"]
    with pytest.raises(
        UserError, match=r"/lists\.zip: .* 404 .*; you can also put the folder ucfTrainTestlist .* data/videos"
    ):
        project.get()
    assert not (RAW / "videos").exists()


def test_disk_space_is_checked_before_the_download(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda folder: shutil._ntuple_diskusage(10**9, 10**9, 5000))
    with pytest.raises(UserError, match=r"data/raw: UCF101, archive and videos, needs 0\.0 GB, but .* are free"):
        project.get()
    assert project.requested() == ["/lists.zip"]


def test_two_runs_do_not_download_at_once(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    with ThreadPoolExecutor() as threads:
        with locked(SCRATCH, "x"):
            waiting = threads.submit(project.get)
            wait_until(lambda: "another run is downloading UCF101: waiting for it" in capsys.readouterr().err)
            assert "/videos.zip" not in project.requested()
        assert sorted(waiting.result(30)[0]) == sorted(VIDEOS)


@pytest.mark.parametrize("kind", ["zip", pytest.param("rar", marks=needs_rar_tool)])
def test_the_users_archive_is_unpacked_and_kept(project: Project, tmp_path: Path, kind: str) -> None:
    # A different archive: another top folder, one class spelt as in its file names, and one more file.
    files = {
        path.replace("UCF-101/Handstand", "x/HandStand").replace("UCF-101", "x"): c for path, c in contents().items()
    }
    archive = tmp_path / f"own/my ucf.{kind}"
    write_files(
        tmp_path / "own", {archive.name: (zip_bytes if kind == "zip" else rar_bytes)(files | {"notes.txt": b""})}
    )
    write_files(tmp_path / "own", lists())
    project.params.data.path = str(archive)
    videos, notes = project.get()
    assert sorted(videos) == sorted(VIDEOS)
    assert notes[2:] == ["left out: 1 file not in the lists, notes.txt"]
    assert unpacked(RAW / "videos") == EXPECTED
    assert archive.exists()
    assert project.requested() == []
    assert not SCRATCH.exists()


@pytest.mark.parametrize("path", ["own", "own/UCF-101"])
def test_the_users_folder_is_used_in_place(project: Project, tmp_path: Path, path: str) -> None:
    stray = {"UCF-101/TSP_Flows/v_Bow_g01_c01.avi": b"", "UCF-101/YoYo/thumbs.db": b""}
    write_files(tmp_path / "own", contents() | lists() | stray)
    (tmp_path / "own/UCF-101/HandstandPushups").rename(tmp_path / "own/UCF-101/HandStandPushups")
    project.params.data.path = str(tmp_path / path)
    videos, notes = project.get()
    assert video_root(project.params.data) == tmp_path / "own/UCF-101"
    assert sorted(videos) == sorted(video.replace("Handstand", "HandStand", 1) for video in VIDEOS)
    assert notes[1] == "no listed video is missing"
    assert notes[2].startswith("left out: 2 files not in the lists, ")
    assert os.listdir(RAW) == ["splits"]
    assert project.requested() == []


def test_missing_videos_are_reported_and_too_many_stop_the_stage(project: Project, tmp_path: Path) -> None:
    write_files(tmp_path / "own", contents(VIDEOS[2:]) | lists())
    project.params.data.path, project.params.data.max_bad_share = str(tmp_path / "own"), 0.12
    videos, notes = project.get()
    assert sorted(videos) == sorted(VIDEOS[2:])
    assert notes == [SMALL, f"missing: 2 listed videos, {VIDEOS[0]}, {VIDEOS[1]}"]
    project.params.data.max_bad_share = 0.1
    with pytest.raises(
        UserError,
        match=r"own/UCF-101: 2 of the 18 videos in the lists are missing, ApplyEye.*: add them, or raise data\.",
    ):
        project.get()
    (tmp_path / "own.zip").write_bytes(zip_bytes(contents(VIDEOS[2:])))
    project.params.data.path = str(tmp_path / "own.zip")
    with pytest.raises(UserError, match=r"own\.zip: 2 of the 18 videos in the lists are missing"):
        project.get()
    assert not (RAW / "videos").exists()


def test_a_path_without_ucf101_is_an_error_and_no_download(project: Project, tmp_path: Path) -> None:
    write_files(tmp_path, {"own/UCF101.rar": b"", "zips/a.zip": zip_bytes({"a.txt": b""})})
    write_files(tmp_path / "zips", lists())
    for path, message in {
        "gone": r"data\.path is '.*gone', but there is no such file or folder",
        "own": r"own: holds UCF101\.rar, but no video CLASS/v_CLASS_gNN_cNN\.avi: set data\.path to the archive itself",
        "own/UCF101.rar": r"UCF101\.rar: not a complete ZIP or RAR archive",
        "zips/a.zip": r"a\.zip: no video CLASS/v_CLASS_gNN_cNN\.avi is in this archive",
    }.items():
        project.params.data.path = str(tmp_path / path)
        with pytest.raises(UserError, match=message):
            project.get()
    assert "/videos.zip" not in project.requested()


def test_a_folder_with_lists_only_counts_as_empty(project: Project) -> None:
    write_files(Path("data/videos"), lists())
    project.get()
    assert project.requested() == ["/videos.zip"]


@pytest.mark.slow
@pytest.mark.skipif(not OFFICIAL_LISTS.exists(), reason="the official lists are not on this machine")
@pytest.mark.parametrize(("split", "train", "test"), [(1, 9537, 3783), (2, 9586, 3734), (3, 9624, 3696)])
def test_all_of_ucf101_by_the_official_lists(project: Project, split: int, train: int, test: int) -> None:
    lines = [line for side in ("train", "test") for line in (OFFICIAL_LISTS / f"{side}list01.txt").read_text().split()]
    files = contents([line for line in lines if line.endswith(".avi")])
    own = {f"ucfTrainTestlist/{path.name}": path.read_bytes() for path in OFFICIAL_LISTS.iterdir()}
    project.sources = Sources(
        zip=project.server.add("/videos.zip", zip_bytes(files), "early"),
        rar=project.sources.rar,
        lists=project.server.add("/lists.zip", zip_bytes(own)),
    )
    project.params.data.split = split
    videos, notes = get_ucf101(project.params.data, RAW, project.sources, WAITS)
    assert notes == ["no listed video is missing"]
    assert len(unpacked(RAW / "videos")) == 13320
    write_video_list([VideoFile(video.path, 1, "") for video in videos])
    assigned, _ = assign(project.params)
    assert [video.split for video in assigned].count("train") == train
    assert [video.split for video in assigned].count("test") == test
    RAW.rename("own")
    RAW.mkdir()
    shutil.rmtree("own/videos/YoYo")
    project.params.data.path, project.params.data.max_bad_share = "own/videos", 0.1
    _, notes = get_ucf101(project.params.data, RAW, project.sources, WAITS)
    assert notes[0].startswith("missing: 128 listed videos, YoYo/v_YoYo_g")
    assert project.requested().count("/videos.zip") == 2  # one of them was cut off


def test_the_official_sources() -> None:
    for source in asdict(OFFICIAL).values():
        assert source["url"].startswith("https://")
        assert len(bytes.fromhex(source["sha256"])) == 32
    assert not OFFICIAL.zip.broken_certificate


@pytest.mark.slow
def test_as_stages_with_own_videos(tmp_path: Path) -> None:
    video = write_video(tmp_path / "made.avi", frames=30).read_bytes()
    write_files(tmp_path / "own", contents(content=video) | lists())
    project = make_project(tmp_path / "project", **{"data.source": "ucf101", "data.path": str(tmp_path / "own")})
    outputs = []
    for stage in ("download", "extract_frames", "manifest"):
        ran = run_stage_script(project, stage)
        assert (ran.returncode, ran.stderr) == (0, "")
        outputs.append(ran.stdout)
    counts = "18 videos, 3 classes, 9 groups"
    assert outputs[0] == f"download: {counts}; {SMALL}; no listed video is missing\n"
    assert outputs[2] == "manifest: train 12, test 6\n"
    with (project / "data/frames/videos.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["label"] for row in rows} == set(CLASSES)
    assert all((row["status"], row["frames"]) == ("ok", "30") for row in rows)


RUN = """
import json, sys
from pathlib import Path
from mofore.config import Data
from mofore.videos.http import Source
from mofore.utils.scratch import locked
from mofore.videos.ucf101 import Sources, get_ucf101

sources = Sources(**{name: Source(**fields) for name, fields in json.loads(sys.argv[1]).items()})
get_ucf101(Data("ucf101", "data/videos", 1, 0.1), Path("data/raw"), sources, waits=(0.1, 0.1))
"""


@pytest.mark.slow
@needs_rar_tool
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can end a tool together with its parent")
def test_the_rar_tool_of_a_killed_run_ends_too(project: Project, tmp_path: Path) -> None:
    archive = rar_bytes(contents(content=bytes(10_000_000)))
    write_files(tmp_path / "own", lists() | {"ucf.rar": archive})
    command = [sys.executable, "-c", RUN.replace("data/videos", "own/ucf.rar"), json.dumps(asdict(project.sources))]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL)
    while not list(RAW.glob("unpacking-*/all/*")):
        assert process.poll() is None
        time.sleep(0.002)
    process.kill()
    process.wait()
    project.params.data.path = "own/ucf.rar"
    project.get()
    time.sleep(0.5)  # a tool that still ran would make its folder again
    assert sorted(os.listdir(RAW)) == ["splits", "videos"]
    assert len(unpacked(RAW / "videos")) == len(VIDEOS)


KILLS = int(os.environ.get("MOFORE_TEST_KILLS", "5"))


def size_of(path: Path) -> int:
    """Bytes of a file; 0 if there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


@pytest.mark.slow
def test_a_run_after_kills_at_random_times_is_complete(project: Project) -> None:
    rng = random.Random(KILLS)
    content = {path: content + rng.randbytes(100_000) for path, content in contents().items()}
    project.sources = Sources(
        zip=project.server.add("/videos.zip", zip_bytes(content)), rar=project.sources.rar, lists=project.sources.lists
    )
    project.server.pause = 0.005
    command = [sys.executable, "-c", RUN, json.dumps(asdict(project.sources))]

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL)

    part = SCRATCH / f"{project.sources.zip.sha256}.part"
    killed = {"download": 0, "unpacking": 0, "else": 0}
    while sum(killed.values()) < KILLS:
        size = size_of(part)
        at = size + rng.uniform(0, project.sources.zip.bytes / 2)  # beyond the end of the file: kill during unpacking
        process = start()
        while process.poll() is None and size_of(part) <= at:
            time.sleep(0.002)
            if at > project.sources.zip.bytes and list(RAW.glob("unpacking-*/all/*/*")):
                time.sleep(rng.uniform(0, 0.03))
                process.kill()
        process.kill()
        if process.wait() == 0:
            shutil.rmtree(SCRATCH)  # it finished before the kill: download again
        else:
            activity = "unpacking" if list(RAW.glob("unpacking-*/all")) else "download" if part.exists() else "else"
            killed[activity] += 1
    process = start()
    assert process.wait(60) == 0
    assert unpacked(RAW / "videos") == {path.removeprefix("UCF-101/"): data for path, data in content.items()}
    assert sorted(os.listdir(RAW)) == ["splits", "videos"]
    assert sorted(os.listdir(SCRATCH)) == [f"{project.sources.zip.sha256}.zip", "lock"]
    ranges = [first for path, first in project.server.asked if path == "/videos.zip" and first is not None]
    assert ranges
    print(f"killed: {killed}; ranged requests: {len(ranges)}")
