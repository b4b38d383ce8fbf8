"""Embedding into a table: what it holds, what is added, what a stopped run leaves, what wrong input gets."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import mofore
from mofore.collection import dataframe, embed_file
from mofore.collection.dataframe import embed_to_npz
from mofore.collection.embed import embed_query, embed_to_table
from mofore.collection.embed_file import FileTask
from mofore.collection.embed_files import embed_files
from mofore.collection.encoder import open_encoder
from mofore.collection.table import read_collection, read_groups, read_recipe, read_videos
from mofore.config import Clip
from mofore.errors import UserError
from mofore.frames.child import ChildLostError, work_in_child
from mofore.method.encoders import build_encoder, save_encoder
from tests.helpers.processes import heed_signals
from tests.helpers.video_files import write_video

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder: two videos in sub-folders, one too short, one that is none, one that is cut off, and a text."""
    folder = tmp_path_factory.mktemp("videos")
    write_video(folder / "a" / "one.avi", 60, (96, 64))
    write_video(folder / "b" / "two ü.avi", 110, (64, 96))
    write_video(folder / "short.avi", 5, (64, 48))
    (folder / "none.mp4").write_bytes(b"not a video")
    (folder / "notes.txt").write_text("no video")
    return folder


@pytest.fixture(scope="module")
def table(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("table") / "embeddings.parquet"
    done = embed_to_table([videos], out, workers=1)
    assert (done.added, done.kept, done.dropped) == (2, 0, 0)
    assert set(done.unreadable) == {str(videos / "none.mp4"), str(videos / "short.avi")}
    return out


def test_rows(videos: Path, table: Path) -> None:
    windows, whole = read_collection(table, "window"), read_collection(table, "video", cells=True, picture=True)
    assert whole.rows.file.tolist() == [str(videos / "a" / "one.avi"), str(videos / "b" / "two ü.avi")]
    assert whole.rows.frames.tolist() == [60, 110]
    assert whole.rows.end_s.tolist() == [2.4, 4.4]
    assert whole.x_NE.shape == (2, 10 * 384)
    assert all(picture[:2] == b"\xff\xd8" for picture in whole.rows.picture)
    assert windows.rows.start_s.tolist() == [0.0, 0.0, 1.0, 2.0]
    assert np.isfinite(windows.x_NE).all()
    bad = read_videos(table).set_index("file").reason
    assert bad[str(videos / "short.avi")] == "shorter than a clip of 25 frames"
    assert "not a video" in bad[str(videos / "none.mp4")]
    names = pq.read_table(table, columns=["file"])["file"].to_pylist()
    assert names == sorted(names)


def test_a_query_has_the_vector_of_the_table(videos: Path, table: Path) -> None:
    whole = read_collection(table, "video")
    windows = read_collection(table, "window")
    encoder = open_encoder()
    np.testing.assert_allclose(embed_query(videos / "a" / "one.avi", encoder), whole.x_NE[0], rtol=1e-5, atol=1e-5)
    part = embed_query(videos / "b" / "two ü.avi", encoder, 1.0, 3.0)
    np.testing.assert_allclose(part, windows.x_NE[2], rtol=1e-4, atol=1e-4)
    with pytest.raises(
        UserError, match="this part is shorter than a clip of 25 frames: give another file, or another part"
    ):
        embed_query(videos / "a" / "one.avi", encoder, 1.0, 1.5)
    with pytest.raises(UserError, match=r"ends at 2\.40 s, before the part that starts at 9 s: give another file, or"):
        embed_query(videos / "a" / "one.avi", encoder, 9.0)
    with pytest.raises(UserError, match=r"none\.mp4: not a video"):
        embed_query(videos / "none.mp4", encoder)


def test_only_what_is_new_is_embedded_and_the_bytes_are_those_of_one_run(videos: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(videos, own)
    out, fresh = tmp_path / "t.parquet", tmp_path / "fresh.parquet"
    last = own / "b" / "two ü.avi"
    aside = last.rename(tmp_path / "aside.avi")
    assert embed_to_table([own], out, workers=1).added == 1
    aside.rename(last)
    again = embed_to_table([own], out, workers=1)
    assert (again.added, again.kept) == (1, 1)
    assert len(again.unreadable) == 2, "those of before are named, too"
    assert str(again).endswith(f", 1 already there, {out}")
    embed_to_table([own], fresh, workers=2)
    assert out.read_bytes() == fresh.read_bytes()
    before = out.stat().st_mtime_ns
    assert embed_to_table([own], out).added == 0
    assert out.stat().st_mtime_ns == before, "nothing to do: the table stays as it is"
    write_video(last, 80, (64, 96))  # changed
    (own / "short.avi").unlink()
    changed = embed_to_table([own], out, workers=1)
    assert (changed.added, changed.dropped) == (1, 1)
    assert read_collection(out, "video").rows.frames.tolist() == [60, 80]
    assert not list(tmp_path.glob(".*")), "no part is left behind"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_goes_on_with_what_is_finished(tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "videos"
    for name in "abcdef":
        write_video(folder / f"{name}.avi", 400, (320, 240))
    out, undisturbed = tmp_path / "t.parquet", tmp_path / "u.parquet"
    command = [sys.executable, "-m", "mofore.cli.main", "embed", str(folder), "--out", str(out), "--workers", "1"]
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    run = subprocess.Popen(command, cwd=ROOT, preexec_fn=heed_signals, **pipes)  # noqa: PLW1509 # it takes no locks
    parts = tmp_path / ".t.parquet.parts"
    end = time.monotonic() + 120
    while len(list(parts.glob("*.arrow"))) < 2:
        assert time.monotonic() < end, "no part after two minutes"
        assert run.poll() is None, "ended before it could be killed"
        time.sleep(0.02)
    run.send_signal(number)
    said = run.communicate(timeout=60)
    finished = len(list(parts.glob("*.arrow")))
    told = f"stopped: {finished} of 6 videos are kept; run the same command to go on\n"
    killed = number == signal.SIGKILL
    assert (run.returncode, *said) == (-number if killed else 128 + number, "", "" if killed else told)
    assert not out.exists()
    assert 2 <= finished < 6
    times = {part: part.stat().st_mtime_ns for part in parts.glob("*.arrow")}
    assert embed_to_table([folder], out, workers=1).added == 6
    assert len(times) == finished
    embed_to_table([folder], undisturbed, workers=1)
    assert out.read_bytes() == undisturbed.read_bytes()


@pytest.mark.parametrize("damage", [b"", bytes(5000), "cut off", "the last rows are missing"])
def test_a_part_that_a_power_cut_left_is_made_anew(damage: bytes | str, tmp_path: Path) -> None:
    video, part = write_video(tmp_path / "a.avi", 60), tmp_path / "a.arrow"
    encoder = open_encoder()
    task = FileTask(video, part, encoder.source, encoder.hash, 2.0, 1.0, "cpu", 60.0, (1, 2))
    task.make()
    whole = part.read_bytes()
    rows = pa.ipc.open_stream(whole).read_all()
    if damage == "the last rows are missing":
        with pa.OSFile(str(part), "wb") as out, pa.ipc.new_stream(out, rows.schema) as writer:
            writer.write_table(rows.slice(0, 1))
    else:
        part.write_bytes(damage if isinstance(damage, bytes) else whole[: len(whole) // 2])
    embed_files([task], 1, "local", quiet=True)
    assert part.read_bytes() == whole


def test_a_video_whose_decoder_crashed_is_tried_again(videos: Path, tmp_path: Path) -> None:
    def crash(what: Any, task: FileTask, *words: Any, **options: Any) -> Any:
        if task.file.name == "one.avi":
            raise ChildLostError("the decoder crashed (signal 9, SIGKILL)")
        return work_in_child(what, task, *words, **options)

    both, out = [videos / "a", videos / "b"], tmp_path / "t.parquet"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embed_file, "work_in_child", crash)
        assert "crashed" in embed_to_table(both, out, workers=1).unreadable[str(videos / "a" / "one.avi")]
    assert embed_to_table(both, out, workers=1).added == 1
    assert read_collection(out, "video").rows.frames.tolist() == [60, 110]
    assert embed_to_table(both, out, workers=1).added == 0


def test_again_embeds_what_could_not_be_read_or_only_in_part(table: Path, videos: Path, tmp_path: Path) -> None:
    out, folder = tmp_path / "t.parquet", videos / "a"
    rows = pq.read_table(table)
    status = ["truncated" if name == str(folder / "one.avi") else name for name in rows["file"].to_pylist()]
    number = rows.column_names.index("status")
    pq.write_table(rows.set_column(number, rows.schema.field("status"), [status]), out)
    assert embed_to_table([folder], out, workers=1).added == 0
    assert embed_to_table([folder], out, workers=1, again=True).added == 1
    assert read_videos(out).status[0] == "ok"
    assert embed_to_table([folder], out, workers=1, again=True).added == 0, "all is well: nothing to do"


def test_another_recipe_is_refused_and_nothing_is_lost(videos: Path, table: Path, tmp_path: Path) -> None:
    before = table.read_bytes()
    with pytest.raises(UserError, match="was made with --window 2 --step 1: give the same, or another --out"):
        embed_to_table([videos], table, step=2)
    clip = Clip(4, 2, 32, "none", "rgb")
    save_encoder(tmp_path / "model", build_encoder("small", 0, "rgb"), "small", clip)
    with pytest.raises(UserError, match="was made with another encoder"):
        embed_to_table([videos], table, encoder=tmp_path / "model")
    assert table.read_bytes() == before
    done = embed_to_table([videos], tmp_path / "own.parquet", encoder=tmp_path / "model", workers=1)
    assert len(done.unreadable) == 2, "5 frames are too few for a clip of 7"
    recipe = read_recipe(tmp_path / "own.parquet")
    assert (recipe.encoder, recipe.clip["size"]) == (str(tmp_path / "model"), 32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder": "nowhere"}, "nowhere: no such folder: give `shipped`, or a folder"),
        ({"window": 0.0}, "window: 0 seconds, but it must be above 0 and at most 600"),
        ({"window": float("inf")}, "window: inf seconds, but it must be above 0 and at most 600"),
        ({"step": float("nan")}, "step: nan seconds, but it must be above 0 and at most 86400"),
        ({"paths": ["a/\udcff.mp4"]}, r"no such file"),
        ({"device": "cuda:77"}, "device 'cuda:77' is not on this machine"),
        ({"device": "meta"}, "device 'meta': use cpu, or cuda"),
        ({"paths": ["none.mp4"]}, "none of 1 video can be used: .*none.mp4: not a video"),
    ],
)
def test_wrong_input_is_one_line(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, object], message: str
) -> None:
    monkeypatch.chdir(videos)
    given = {"paths": ["a"], "out": tmp_path / "t.parquet", "workers": 1} | change
    with pytest.raises(UserError, match=message) as error:
        embed_to_table(**given)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"PAR1", b"text", None])
def test_a_file_that_is_no_table_is_not_overwritten(videos: Path, tmp_path: Path, content: bytes | None) -> None:
    out = tmp_path / "t.parquet"
    if content is None:
        pd.DataFrame({"a": [1]}).to_parquet(out)
    else:
        out.write_bytes(content)
    before = out.read_bytes()
    with pytest.raises(UserError, match=r"not a .*: give another --out"):
        embed_to_table([videos], out)
    assert out.read_bytes() == before


def test_the_output_may_be_no_video(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.avi", 60)
    before = video.read_bytes()
    with pytest.raises(UserError, match=r"a\.avi: is read and would be overwritten: give another name"):
        embed_to_table([tmp_path], video)
    assert video.read_bytes() == before


def test_windows_of_a_variable_rate_last_as_long_as_all_others(tmp_path: Path) -> None:
    """Two seconds with 50 frames each, a pause of three seconds, two with 10 frames each; the header says one rate."""
    stamps = [*(t * 20 for t in range(100)), *(5000 + t * 100 for t in range(21))]  # in ms
    with av.open(str(tmp_path / "uneven.mkv"), "w") as file:
        stream = file.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.codec_context.time_base = 96, 64, Fraction(1, 1000)
        for stamp in stamps:
            image = np.full((64, 96, 3), stamp % 200, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            frame.pts, frame.time_base = stamp, Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    embed_to_table([tmp_path], tmp_path / "t.parquet", workers=1)
    rows = read_collection(tmp_path / "t.parquet", "window").rows
    assert rows.start_s.tolist() == pytest.approx([0, 1, 2, 3, 4, 5], abs=0.05)
    assert (rows.end_s - rows.start_s).tolist() == pytest.approx([2] * 6, abs=0.05)


def test_as_a_library(videos: Path, tmp_path: Path) -> None:
    found = mofore.embed(videos / "a", workers=1)
    assert found.kind.tolist() == ["window", "video"]
    assert found.embedding.iloc[-1].shape == (384,)
    done = embed_to_npz([videos], tmp_path / "new" / "t.npz", workers=1)
    assert done.table == tmp_path / "new" / "t.npz"
    with pytest.raises(UserError, match=r"t\.npz: this file would be of kind \.parquet: give a name that ends in"):
        mofore.embed(videos / "a", out=tmp_path / "new" / "t.npz")
    with np.load(tmp_path / "new" / "t.npz") as arrays:
        assert arrays["embedding"].shape == (len(arrays["path"]), 384)
        assert arrays["cells"].shape[1] == 9 * 384
        assert set(arrays["kind"]) == {"video", "window"}
        assert json.loads(str(arrays["recipe"]))["encoder_hash"] == open_encoder().hash
        assert arrays["left_out"].tolist() == [str(videos / name) for name in ("none.mp4", "short.avi")]
        assert arrays["left_out_reason"][1] == "shorter than a clip of 25 frames"


def test_arrays_are_of_the_videos_that_were_found_first(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that goes away after that is left out, with the reason."""
    own = tmp_path / "videos"
    shutil.copytree(videos, own)
    (own / "empty").mkdir()

    def check(path: Path, suffix: str, *inputs: Path) -> None:
        (own / "b" / "two ü.avi").unlink()

    monkeypatch.setattr(dataframe, "check_output", check)
    done = embed_to_npz([own / "a", own / "b", own / "empty"], tmp_path / "t.npz", workers=1)
    assert done.unreadable == {str(own / "b" / "two ü.avi"): "No such file or directory"}
    assert capsys.readouterr().err.count("without videos") == 1


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04", b"array", None])
def test_a_file_that_is_not_of_embed_is_not_replaced_by_arrays(
    content: bytes | None, videos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "mine.npz"
    if content is None:
        np.savez(out, mine=np.arange(3))
    elif content == b"array":
        np.save(tmp_path / "one.npy", np.arange(3))
        (tmp_path / "one.npy").rename(out)
    else:
        out.write_bytes(content)
    before = out.read_bytes()
    with pytest.raises(
        UserError, match=r"mine\.npz: is there, but `mofore embed` did not write it: give another --out"
    ):
        embed_to_npz([videos / "a"], out, workers=1)
    assert out.read_bytes() == before
    out.unlink()
    for _ in range(2):
        embed_to_npz([videos / "a"], out, workers=1)


def test_a_video_that_is_gone_during_the_run_is_named(videos: Path, tmp_path: Path) -> None:
    os.symlink(tmp_path / "gone.avi", tmp_path / "link.avi")
    done = embed_to_table([videos / "a", tmp_path / "link.avi"], tmp_path / "t.parquet", workers=1)
    assert list(done.unreadable.values()) == ["No such file or directory"]


def test_a_video_that_changes_during_the_run_is_embedded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table has size and time of the file that was asked for, not of what came later."""
    video, out = write_video(tmp_path / "v" / "a.avi", 60), tmp_path / "t.parquet"
    make = FileTask.make

    def make_and_change(task: FileTask, on_share: Callable[[float], None]) -> None:
        make(task, on_share)
        write_video(video, 90)

    monkeypatch.setattr(FileTask, "make", make_and_change)
    embed_to_table([video], out, workers=1)
    monkeypatch.undo()
    assert embed_to_table([video], out, workers=1).added == 1
    assert read_collection(out, "video").rows.frames.tolist() == [90]


@pytest.mark.parametrize("is_mount_point", [False, True])
def test_a_disk_that_is_not_there_drops_nothing_unasked(
    videos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], is_mount_point: bool
) -> None:
    """Where a disk is to be mounted, there is an empty folder. Its table is in a folder that is made."""
    disk, out = tmp_path / "disk", tmp_path / "new" / "t.parquet"
    shutil.copytree(videos / "a", disk)
    embed_to_table([disk], out, workers=1)
    disk.rename(tmp_path / "away")
    if is_mount_point:
        disk.mkdir()
    assert embed_to_table([videos / "b"], out, workers=1).dropped == 0
    assert len(read_videos(out)) == 2
    assert f"1 video stays in the table that is not on the disk, as {disk} may not be mounted" in capfd.readouterr().err
    assert embed_to_table([videos / "b"], out, workers=1, drop_missing=True).dropped == 1
    assert read_videos(out).file.tolist() == [str(next((videos / "b").iterdir()))]


def test_a_link_to_a_table_stays_a_link(videos: Path, tmp_path: Path) -> None:
    table, link = tmp_path / "disk" / "t.parquet", tmp_path / "t.parquet"
    table.parent.mkdir()
    link.symlink_to(table)
    embed_to_table([videos / "a"], link, workers=1)
    assert link.is_symlink()
    assert len(read_videos(table)) == 1


def test_a_damaged_table_is_named(table: Path, tmp_path: Path) -> None:
    content = bytearray(table.read_bytes())
    middle = len(content) // 4
    content[middle : middle + 2000] = bytes(2000)
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(content)
    with pytest.raises(UserError, match=r"broken\.parquet: damaged .*: delete it, and run `mofore embed` again"):
        for _ in read_groups(broken):
            pass


@pytest.mark.parametrize("column", ["file", "kind"])
def test_a_row_without_a_name_is_told(table: Path, tmp_path: Path, column: str) -> None:
    whole = pq.read_table(table)
    number = whole.column_names.index(column)
    cells = pa.array([None, *whole[column].to_pylist()[1:]], pa.string())
    pq.write_table(whole.set_column(number, column, cells), tmp_path / "nulls.parquet")
    with pytest.raises(UserError, match=f"damaged .a row without {column}.: delete it"):
        read_videos(tmp_path / "nulls.parquet")


def test_another_schema_is_no_table(table: Path, tmp_path: Path) -> None:
    whole = pq.read_table(table)
    recipe = json.loads(whole.schema.metadata[b"mofore"])
    metadata = [
        b"{",
        *(json.dumps(recipe | wrong).encode() for wrong in ({"window": None}, {"step": "2"}, {"clip": 5})),
    ]
    for other in (whole.drop_columns(["cells"]), *(whole.replace_schema_metadata({b"mofore": x}) for x in metadata)):
        pq.write_table(other, tmp_path / "other.parquet")
        with pytest.raises(UserError, match="not a table that `mofore embed` wrote"):
            read_videos(tmp_path / "other.parquet")
