"""Source ucf101: downloaded, from the user's archive, from the user's folder; and killed on the way."""

import csv
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from mofore.catalog import video_root
from mofore.config import Params
from mofore.errors import UserError
from mofore.utils.scratch import locked
from mofore.videos.archive import RAR_TOOLS
from mofore.videos.ucf101 import OFFICIAL, Sources, get_ucf101
from tests.helpers.bad_server import BadServer, bad_server
from tests.helpers.ucf101_files import CLASSES, VIDEOS, contents, lists, rar_bytes, write_files, zip_bytes
from tests.helpers.video_files import ROOT, SHARED, make_project, run_stage_script, write_video

OFFICIAL_LISTS = SHARED / "splits" / "ucfTrainTestlist"
RAW = Path("data/raw")
SCRATCH = Path(".scratch/download")
WAITS = (0.0, 0.0)
SMALL = "the lists name 18 videos, 3 classes and 3 groups, not the 13,320, 101 and 25 of UCF101"
needs_rar_tool = pytest.mark.skipif(not any(map(shutil.which, RAR_TOOLS)), reason="no RAR tool is installed")


@dataclass
class World:
    """A project in the working directory, its parameters, and servers of UCF101 in small."""

    params: Params
    server: BadServer
    sources: Sources

    def get(self) -> tuple[list[str], list[str]]:
        """Paths of the videos, and notes, of source ucf101."""
        videos, notes = get_ucf101(self.params.data, RAW, self.sources, WAITS)
        root = video_root(self.params.data)
        assert all((root / video.path).is_file() for video in videos)
        assert not list(RAW.glob("unpacking-*"))
        return [video.path for video in videos], notes

    def asked(self) -> list[str]:
        return [path for path, _ in self.server.asked]


@pytest.fixture
def world(params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    RAW.mkdir(parents=True)
    Path("data/videos").mkdir()
    params.data.source, params.data.path, params.data.split = "ucf101", "data/videos", 1
    with bad_server() as server:
        yield World(
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


def test_the_zip_is_downloaded_and_unpacked_as_the_demo_is(world: World) -> None:
    videos, notes = world.get()
    assert sorted(videos) == sorted(VIDEOS)
    assert notes == [
        SMALL,
        "no video of the lists is missing",
        "left out: 1 file not in the lists, UCF-101/TSP_Flows/a.mat",
    ]
    assert unpacked(RAW / "videos") == EXPECTED
    assert sorted(os.listdir(RAW / "splits")) == sorted(name.split("/")[1] for name in lists())
    assert world.asked() == ["/lists.zip", "/videos.zip"]
    assert sorted(os.listdir(SCRATCH)) == [f"{world.sources.zip.sha256}.zip", "lock"]


def test_the_archive_is_downloaded_once(world: World) -> None:
    world.get()
    world.get()
    assert world.asked() == ["/lists.zip", "/videos.zip", "/lists.zip"]
    assert unpacked(RAW / "videos") == EXPECTED


def test_what_an_earlier_run_left_is_replaced(world: World) -> None:
    write_files(RAW, {"videos/Bow/v_Bow_g01_c01.avi": b"demo", "splits/old.txt": b"", "unpacking-x/all/half.avi": b""})
    world.get()
    assert unpacked(RAW / "videos") == EXPECTED
    assert sorted(os.listdir(RAW)) == ["splits", "videos"]


def test_scratch_is_in_the_original_repository(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "original"))
    world.get()
    assert (tmp_path / "original/.scratch/download/lock").exists()
    assert not SCRATCH.exists()


@needs_rar_tool
def test_without_the_zip_the_rar_is_used(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.server.tricks["/videos.zip"] = ["early", "gone"]
    videos, _ = world.get()
    assert sorted(videos) == sorted(VIDEOS)
    assert unpacked(RAW / "videos") == EXPECTED
    assert world.asked() == ["/lists.zip", "/videos.zip", "/videos.zip", "/videos.rar"]
    told = capsys.readouterr().err.splitlines()[1]
    assert told.startswith(f"download: {world.sources.zip.url}: the server answers 404 Not Found")
    assert told.endswith(f"; trying {world.sources.rar.url}")
    assert (SCRATCH / f"{world.sources.rar.sha256}.rar").exists()


def test_the_rar_is_not_downloaded_if_it_cannot_be_unpacked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.server.tricks["/videos.zip"] = ["gone"]
    monkeypatch.setenv("PATH", "nowhere")
    with pytest.raises(
        UserError, match=r"/videos\.rar: a RAR archive, and no tool that can unpack it is installed .*: install"
    ):
        world.get()
    assert "/videos.rar" not in world.asked()


@needs_rar_tool
def test_without_both_or_the_lists_what_to_do_is_said(world: World) -> None:
    world.server.tricks["/videos.zip"] = world.server.tricks["/videos.rar"] = ["gone", "gone"]
    with pytest.raises(
        UserError, match=r"/videos\.rar: .* 404 .*; or get UCF101 in another way, and set data\.path to"
    ):
        world.get()
    world.server.tricks["/lists.zip"] = ["gone"]
    with pytest.raises(UserError, match=r"/lists\.zip: .* 404 .*; or put the folder ucfTrainTestlist .* data/videos"):
        world.get()
    assert not (RAW / "videos").exists()


def test_room_is_looked_for_before_the_download(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda folder: shutil._ntuple_diskusage(10**9, 10**9, 5000))
    with pytest.raises(UserError, match=r"data/raw: UCF101, archive and videos, needs 0\.0 GB, but .* are free"):
        world.get()
    assert world.asked() == ["/lists.zip"]


def test_two_runs_do_not_download_at_once(world: World) -> None:
    with (
        locked(SCRATCH, "x"),
        pytest.raises(UserError, match=r"\.scratch/download: another run is downloading UCF101: wait"),
    ):
        world.get()
    assert "/videos.zip" not in world.asked()


@pytest.mark.parametrize("kind", ["zip", pytest.param("rar", marks=needs_rar_tool)])
def test_own_archive_is_unpacked_and_kept(world: World, tmp_path: Path, kind: str) -> None:
    # Packed anew: another top folder, one class spelt as its files are, a stray file.
    files = {
        path.replace("UCF-101/Handstand", "x/HandStand").replace("UCF-101", "x"): c for path, c in contents().items()
    }
    archive = tmp_path / f"own/my ucf.{kind}"
    write_files(
        tmp_path / "own", {archive.name: (zip_bytes if kind == "zip" else rar_bytes)(files | {"notes.txt": b""})}
    )
    write_files(tmp_path / "own", lists())
    world.params.data.path = str(archive)
    videos, notes = world.get()
    assert sorted(videos) == sorted(VIDEOS)
    assert notes[2:] == ["left out: 1 file not in the lists, notes.txt"]
    assert unpacked(RAW / "videos") == EXPECTED
    assert archive.exists()
    assert world.asked() == []
    assert not SCRATCH.exists()


@pytest.mark.parametrize("path", ["own", "own/UCF-101"])
def test_own_folder_is_used_where_it_is(world: World, tmp_path: Path, path: str) -> None:
    stray = {"UCF-101/TSP_Flows/v_Bow_g01_c01.avi": b"", "UCF-101/YoYo/thumbs.db": b""}
    write_files(tmp_path / "own", contents() | lists() | stray)
    (tmp_path / "own/UCF-101/HandstandPushups").rename(tmp_path / "own/UCF-101/HandStandPushups")
    world.params.data.path = str(tmp_path / path)
    videos, notes = world.get()
    assert video_root(world.params.data) == tmp_path / "own/UCF-101"
    assert sorted(videos) == sorted(video.replace("Handstand", "HandStand", 1) for video in VIDEOS)
    assert notes[1] == "no video of the lists is missing"
    assert notes[2].startswith("left out: 2 files not in the lists, ")
    assert os.listdir(RAW) == ["splits"]
    assert world.asked() == []


def test_missing_videos_are_named_and_too_many_stop(world: World, tmp_path: Path) -> None:
    write_files(tmp_path / "own", contents(VIDEOS[2:]) | lists())
    world.params.data.path, world.params.data.max_bad_share = str(tmp_path / "own"), 0.12
    videos, notes = world.get()
    assert sorted(videos) == sorted(VIDEOS[2:])
    assert notes == [SMALL, f"missing: 2 videos of the lists, {VIDEOS[0]}, {VIDEOS[1]}"]
    world.params.data.max_bad_share = 0.1
    with pytest.raises(
        UserError,
        match=r"own/UCF-101: 2 of the 18 videos of the lists are missing, ApplyEye.*: complete it, or raise data\.",
    ):
        world.get()
    (tmp_path / "own.zip").write_bytes(zip_bytes(contents(VIDEOS[2:])))
    world.params.data.path = str(tmp_path / "own.zip")
    with pytest.raises(UserError, match=r"own\.zip: 2 of the 18 videos of the lists are missing"):
        world.get()
    assert not (RAW / "videos").exists()


def test_a_path_without_ucf101_is_told_not_downloaded(world: World, tmp_path: Path) -> None:
    write_files(tmp_path, {"own/UCF101.rar": b"", "zips/a.zip": zip_bytes({"a.txt": b""})})
    write_files(tmp_path / "zips", lists())
    for path, message in {
        "gone": r"data\.path is '.*gone', but there is no such file or folder",
        "own": r"own: holds UCF101\.rar, but no video CLASS/v_CLASS_gNN_cNN\.avi: set data\.path to the archive itself",
        "own/UCF101.rar": r"UCF101\.rar: not a complete ZIP or RAR archive",
        "zips/a.zip": r"a\.zip: no video CLASS/v_CLASS_gNN_cNN\.avi is in this archive",
    }.items():
        world.params.data.path = str(tmp_path / path)
        with pytest.raises(UserError, match=message):
            world.get()
    assert "/videos.zip" not in world.asked()


def test_lists_alone_do_not_keep_from_downloading(world: World) -> None:
    write_files(Path("data/videos"), lists())
    world.get()
    assert world.asked() == ["/videos.zip"]


@pytest.mark.slow
@pytest.mark.skipif(not OFFICIAL_LISTS.exists(), reason="the official lists are not here")
@pytest.mark.parametrize(("split", "train", "test"), [(1, 9537, 3783), (2, 9586, 3734), (3, 9624, 3696)])
def test_all_of_ucf101_by_the_official_lists(world: World, split: int, train: int, test: int) -> None:
    lines = [line for side in ("train", "test") for line in (OFFICIAL_LISTS / f"{side}list01.txt").read_text().split()]
    files = contents([line for line in lines if line.endswith(".avi")])
    own = {f"ucfTrainTestlist/{path.name}": path.read_bytes() for path in OFFICIAL_LISTS.iterdir()}
    world.sources = Sources(
        zip=world.server.add("/videos.zip", zip_bytes(files), "early"),
        rar=world.sources.rar,
        lists=world.server.add("/lists.zip", zip_bytes(own)),
    )
    world.params.data.split = split
    videos, notes = get_ucf101(world.params.data, RAW, world.sources, WAITS)
    assert notes == ["no video of the lists is missing"]
    assert len(unpacked(RAW / "videos")) == 13320
    assert [video.split for video in videos].count("train") == train
    assert [video.split for video in videos].count("test") == test
    RAW.rename("own")
    RAW.mkdir()
    shutil.rmtree("own/videos/YoYo")
    world.params.data.path, world.params.data.max_bad_share = "own/videos", 0.1
    _, notes = get_ucf101(world.params.data, RAW, world.sources, WAITS)
    assert notes[0].startswith("missing: 128 videos of the lists, YoYo/v_YoYo_g")
    assert world.asked().count("/videos.zip") == 2  # one of which broke off


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
    for stage in ("download", "extract_frames"):
        ran = run_stage_script(project, stage)
        assert (ran.returncode, ran.stderr) == (0, "")
        outputs.append(ran.stdout)
    counts = "18 videos, 3 classes, 9 groups (train 12, test 6)"
    assert outputs[0] == f"download: {counts}; {SMALL}; no video of the lists is missing\n"
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
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a tool cannot be made to end with us")
def test_a_killed_run_takes_its_tool_along(world: World, tmp_path: Path) -> None:
    archive = rar_bytes(contents(content=bytes(10_000_000)))
    write_files(tmp_path / "own", lists() | {"ucf.rar": archive})
    command = [sys.executable, "-c", RUN.replace("data/videos", "own/ucf.rar"), json.dumps(asdict(world.sources))]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL)
    while not list(RAW.glob("unpacking-*/all/*")):
        assert process.poll() is None
        time.sleep(0.002)
    process.kill()
    process.wait()
    world.params.data.path = "own/ucf.rar"
    world.get()
    time.sleep(0.5)  # the killed run's tool would make its folder anew
    assert sorted(os.listdir(RAW)) == ["splits", "videos"]
    assert len(unpacked(RAW / "videos")) == len(VIDEOS)


KILLS = int(os.environ.get("MOFORE_TEST_KILLS", "5"))


@pytest.mark.slow
def test_kills_at_any_time_do_no_harm(world: World) -> None:
    rng = random.Random(KILLS)
    content = {path: content + rng.randbytes(100_000) for path, content in contents().items()}
    world.sources = Sources(
        zip=world.server.add("/videos.zip", zip_bytes(content)), rar=world.sources.rar, lists=world.sources.lists
    )
    world.server.pause = 0.005
    command = [sys.executable, "-c", RUN, json.dumps(asdict(world.sources))]

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL)

    part = SCRATCH / f"{world.sources.zip.sha256}.part"
    killed = {"download": 0, "unpacking": 0, "else": 0}
    while sum(killed.values()) < KILLS:
        size = part.stat().st_size if part.exists() else 0
        at = size + rng.uniform(0, world.sources.zip.bytes / 2)  # beyond its end: while it is unpacked
        process = start()
        while process.poll() is None and not (part.exists() and part.stat().st_size > at):
            time.sleep(0.002)
            if at > world.sources.zip.bytes and list(RAW.glob("unpacking-*/all/*/*")):
                time.sleep(rng.uniform(0, 0.03))
                process.kill()
        process.kill()
        if process.wait() == 0:
            shutil.rmtree(SCRATCH)  # it was faster: download it anew
        else:
            at_work = "unpacking" if list(RAW.glob("unpacking-*/all")) else "download" if part.exists() else "else"
            killed[at_work] += 1
    process = start()
    assert process.wait(60) == 0
    assert unpacked(RAW / "videos") == {path.removeprefix("UCF-101/"): data for path, data in content.items()}
    assert sorted(os.listdir(RAW)) == ["splits", "videos"]
    assert sorted(os.listdir(SCRATCH)) == [f"{world.sources.zip.sha256}.zip", "lock"]
    ranges = [first for path, first in world.server.asked if path == "/videos.zip" and first is not None]
    assert ranges
    print(f"killed: {killed}; ranged requests: {len(ranges)}")
