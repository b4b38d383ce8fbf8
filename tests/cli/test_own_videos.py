"""The verbs for one's own videos: what they print and write, and one line for bad input."""

import errno
import inspect
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from mofore import cli
from mofore.cli.main import make_app
from mofore.collection.embed import Embedded, embed_to_table
from mofore.collection.encoder import SHIPPED_CLIP, describe_encoder
from mofore.collection.export import Export
from mofore.collection.health import Health
from mofore.collection.search import search
from mofore.collection.sort import sort_collection
from mofore.collection.surprise import surprise
from mofore.collection.surprise_sink import COLUMNS, Peak, Surprise
from mofore.errors import UserError
from mofore.method.encoders import save_encoder
from mofore.method.shipped import shipped_encoder
from tests.helpers.collections import RECIPE, picture, write_collection
from tests.helpers.video_files import write_video

ROOT = Path(__file__).parents[2]
FILES = [f"/videos/{name}/{number}.avi" for name in ("a", "b", "c") for number in range(6)]


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table of three well separated classes, in the working folder, under the name that verbs expect."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    centre_CD = 3 * rng.standard_normal((3, 12))
    x_VD = np.repeat(centre_CD, 6, axis=0) + 0.5 * rng.standard_normal((18, 12))
    write_collection(tmp_path / "embeddings.parquet", FILES, x_VD.astype(np.float32), windows=2)
    return tmp_path / "embeddings.parquet"


def run(*words: object) -> Result:
    return CliRunner().invoke(make_app(), list(map(str, words)))


def result(*words: object) -> Any:
    """What a verb prints with --json."""
    done = run(*words, "--json")
    assert done.exit_code == 0, done.output
    assert done.stderr == ""
    return json.loads(done.stdout)


def labels(path: Path, files: list[str]) -> Path:
    path.write_text("path,label\n" + "".join(f"{file},{Path(file).parent.name}\n" for file in files))
    return path


def test_sort(table: Path, tmp_path: Path) -> None:
    given = labels(tmp_path / "labels.csv", FILES[::6])
    done = run("sort", given)
    assert done.exit_code == 0
    assert done.output.splitlines()[0].startswith("15 videos labelled from 3 labels of 3 classes")
    assert done.output.splitlines()[-1] == "sort: see labels_out.csv"
    assert (tmp_path / "labels_out.csv").read_text().startswith("path,label,probability")
    assert run("sort", given, "--quiet").output == ""
    found = result("sort", given, "--out", tmp_path / "other.csv")
    assert found["videos"] == {"given": 3, "predicted": 15}
    assert found["expected"] is None
    assert found["notes"]
    assert Path(found["out"]).read_text() == (tmp_path / "labels_out.csv").read_text()


def test_search(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = run("search", FILES[0], "-k", "4", "--videos")
    assert done.exit_code == 0
    rows = [line.split("\t") for line in done.output.splitlines()]
    assert [Path(row[3]).parent.name for row in rows] == ["a"] * 4
    scores = [float(row[0]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    found = result("search", FILES[0], "-k", "4", "--videos")
    assert [f"{hit['score']:.3f}" for hit in found["hits"]] == [row[0] for row in rows]
    assert [hit["file"] for hit in found["hits"]] == [row[3] for row in rows]
    windows = result("search", FILES[0], "--start", 0, "--end", 1, "--other-files")
    assert all(hit["end_s"] - hit["start_s"] == 2 for hit in windows["hits"])
    assert len(windows["hits"]) == 10, "the default"
    assert FILES[0] not in {hit["file"] for hit in windows["hits"]}


def test_search_writes_a_page(table: Path, tmp_path: Path) -> None:
    done = run("search", FILES[0], "-k", "2", "--html", tmp_path / "new/found.html")
    assert done.exit_code == 0, done.exception
    assert len(done.stdout.splitlines()) == 2
    assert done.stderr.splitlines()[-1] == f"search: see {tmp_path}/new/found.html"
    page = (tmp_path / "new/found.html").read_text()
    assert "Searched embeddings.parquet" in page
    assert result("search", FILES[0], "--html", "x.html")["html"] == "x.html"


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_hits_are_printed_before_the_page(form: list[str], table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "x.html")

    monkeypatch.setattr("mofore.collection.gallery.write_gallery", fail)
    done = run("search", FILES[0], "--html", "x.html", *form)
    assert isinstance(done.exception, UserError)
    assert FILES[1] in done.stdout


def test_a_search_whose_reader_goes_ends_quietly(table: Path) -> None:
    """As `mofore search ... | head -1` with more rows than a pipe holds."""
    many = [f"/videos/{'long' * 50}/{number}.avi" for number in range(2000)]
    x_VD = np.random.default_rng(0).standard_normal((2000, 4)).astype(np.float32)
    write_collection(table, many, x_VD)
    command = [sys.executable, "-m", "mofore.cli.main", "search", many[0], "-k", "9999", "--videos"]
    with subprocess.Popen(
        command, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline().endswith(b".avi\n")
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_duplicates(table: Path, tmp_path: Path) -> None:
    """Identical files are found, and a split that they stand on both sides of."""
    files = []
    for name in ("a.avi", "b.avi", "c.avi"):
        files.append(str(tmp_path / name))
        (tmp_path / name).write_bytes(bytes(999) + (b"c" if name == "c.avi" else b"x"))  # 1,000, as the table says
    write_collection(table, files, np.random.default_rng(0).standard_normal((3, 8)).astype(np.float32), windows=2)
    (tmp_path / "videos.csv").write_text("path,split\na.avi,train\nb.avi,test\nd.avi,test\n")
    done = run("duplicates", "--threshold", "1", "--split", tmp_path / "videos.csv")
    assert done.exit_code == 0, done.exception
    assert done.stdout == f"1.000\tidentical\ttrain|test\t{files[0]}\t{files[1]}\n"
    assert "1 pair of copies" in done.stderr
    assert "1 on both sides of the split" in done.stderr
    notes = result("duplicates", "--threshold", "1", "--split", tmp_path / "videos.csv")["notes"]
    assert notes == [
        f"{tmp_path}/videos.csv: 1 path is not in the table, so leaks of these go unseen: d.avi (line 4)",
        f"1 video of the table is on no side of the split: {files[2]}",
    ]
    assert done.stderr.splitlines()[-3:-1] == [f"warning: {note}" for note in notes]
    found = result("duplicates", "--threshold", 1)
    (pair,) = found["pairs"]
    assert (pair["first"], pair["second"], pair["same_bytes"], pair["leaky"]) == (*files[:2], True, False)
    assert found["threshold"] == 1
    assert run("duplicates", "--threshold", "1", "--quiet").stderr == ""
    assert run("duplicates", "--threshold", "high").exit_code == 2


def test_embed_passes_its_options_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    got: list[Any] = []

    def embed(paths: list[str], out: Path, **options: object) -> Embedded:
        got.append((paths, out, options))
        return Embedded(out, 2, 1, 0, {"/x.avi": "empty"}, 3.0)

    monkeypatch.setattr("mofore.collection.embed.embed_to_table", embed)
    monkeypatch.setattr("mofore.collection.dataframe.embed_to_npz", embed)
    monkeypatch.setattr(
        "mofore.collection.health.health", lambda *_: Health(3, 0.5, {"/x.avi": "empty"}, {}, [], [], [])
    )
    monkeypatch.setattr("mofore.collection.table.read_videos", lambda _: [None] * 3)
    done = run("embed", "a", "b", "--window", 4, "--step", 2, "--workers", 1, "--backend", "dask", "--device", "cuda")
    assert done.exit_code == 0, done.exception
    assert "2 videos embedded in 3.0 s, 1 already there" in done.output
    assert "3 videos, 30.0 minutes" in done.output
    options = {"encoder": "shipped", "window": 4.0, "step": 2.0, "workers": 1, "backend": "dask", "device": "cuda"}
    options |= {"again": False, "drop_missing": False, "quiet": False}
    assert got == [(["a", "b"], Path("embeddings.parquet"), options)]
    quiet = run("embed", "a", "--again", "--drop-missing", "--quiet")
    assert (quiet.stdout, quiet.stderr) == ("", "warning: 1 of 4 videos could not be embedded: /x.avi (empty)\n")
    assert got[-1][2]["again"]
    assert got[-1][2]["drop_missing"]
    found = result("embed", "a")
    assert found["added"] == 2
    assert found["unreadable"] == found["health"]["not_embedded"] == {"/x.avi": "empty"}
    assert result("embed", "a", "--out", "x.npz")["table"] == "x.npz"
    assert "left out: /x.avi: empty" in run("embed", "a", "--out", "x.npz").output
    assert result("embed", "a", "--out", "x.NPZ")["table"] == "x.NPZ"
    assert got[-1][1] == Path("x.NPZ")
    wrong = run("embed", "a", "--out", "x.csv")
    assert str(wrong.exception).startswith("x.csv: give --out a name that ends in .parquet, or in .npz")
    assert run("embed", "a", "--backend", "slurm").exit_code == 2


def test_defaults_are_those_of_the_library() -> None:
    """The commands repeat them, since `--help` must not import the library."""
    for command, function in (
        (cli.embed.embed, embed_to_table),
        (cli.search.search, search),
        (cli.surprise.surprise, surprise),
        (cli.sort.sort, sort_collection),
    ):
        own, library = (inspect.signature(one).parameters for one in (command, function))
        shared = [name for name in own if name in library and library[name].default is not inspect.Parameter.empty]
        assert shared
        for name in set(shared) - {"out"}:
            assert own[name].default == library[name].default, name


def test_surprise_writes_a_table_and_a_picture_of_each_video(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    videos, model = tmp_path / "videos", tmp_path / "data/model"
    model.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for name in ("a/one.avi", "b/one.avi", "b/bad.avi"):
        write_video(videos / name)

    odd = {"a": ("cut off", ""), "b": ("", "the gap is long")}

    def measure(file: Path, *_: object) -> Surprise:
        if file.name == "bad.avi":
            raise UserError(f"{file}: too short: give a longer video")
        time_s = 100_000.2 + np.arange(5) / 5
        table = pd.DataFrame(dict.fromkeys(COLUMNS, time_s) | {"crop": "whole"})
        return Surprise(
            table,
            [Peak(100_001.0, 2.5, picture(99), (0.0, 0.0, 0.5, 0.5))],
            True,
            1.0,
            *odd.get(str(file.parent.name), ()),
        )

    monkeypatch.setattr("mofore.collection.surprise_files.surprise", measure)
    out = tmp_path / "out"
    done = run("surprise", videos, "--out", out)
    assert done.exit_code == 0, done.exception
    assert done.stdout.splitlines() == [f"{videos}/{name}/one.avi\t100001.0\t+2.5" for name in ("a", "b")]
    warnings = [
        f"left out: {videos}/b/bad.avi: too short: give a longer video",
        f"warning: {videos}/a/one.avi: measured as far as it could be read: cut off",
        "warning: 1 video: the gap is long",
    ]
    assert done.stderr.splitlines() == [*warnings, f"surprise: see {out}; gap 1.00 s"]
    written = {str(file.relative_to(out)) for file in out.rglob("*.*")}
    assert written == {f"{name}/one.avi.{suffix}" for name in ("a", "b") for suffix in ("csv", "png")}
    table = pd.read_csv(out / "a/one.avi.csv")
    assert list(table) == list(COLUMNS)
    np.testing.assert_allclose(table.time_s, 100_000.2 + np.arange(5) / 5, atol=1e-9)
    found = result("surprise", videos, "--out", out)
    assert [Path(video["file"]).parent.name for video in found["videos"]] == ["a", "b"]
    assert list(found["unusable"]) == [str(videos / "b/bad.avi")]
    assert run("surprise", videos, "--out", out, "--quiet").stderr.splitlines() == warnings
    for only in (videos / "b/bad.avi", str(videos / "b/b*.avi")):
        assert "too short" in str(run("surprise", only, "--out", out).exception)


def test_export_passes_formats_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    got: list[Any] = []

    def write(*words: object) -> Export:
        got.append(words)
        return Export(tmp_path, {"model.onnx": 2_900_000}, {"onnx": 0.9999})

    monkeypatch.setattr("mofore.collection.export.export", write)
    done = run("export", "--out", "x", "--format", "torch", "--format", "onnx", "--license", "mit")
    assert done.output == f"export: {tmp_path}: model.onnx (2,900 kB)\n"
    assert result("export", "--out", "x")["cosines"] == {"onnx": 0.9999}
    assert got == [("shipped", Path("x"), ["torch", "onnx"], "mit"), ("shipped", Path("x"), ["onnx", "torch"], None)]
    assert run("export", "--out", "x", "--format", "tflite").exit_code == 2


def test_explore(monkeypatch: pytest.MonkeyPatch) -> None:
    got: list[Any] = []
    monkeypatch.setattr("mofore.collection.explore.explore", lambda *words, quiet: got.append(words))
    assert run("explore").output == "explore: see explore.html\n"
    assert run("explore", "--in", "t", "--out", "x.html", "--quiet").output == ""
    assert result("explore") == {"out": "explore.html"}
    assert got[1] == (Path("t"), Path("x.html"))


def write_bad_input(folder: Path, table: bytes) -> None:
    """Tables that are cut off, damaged or of others, a damaged video, files of the user, another encoder."""
    (folder / "cut.parquet").write_bytes(table[: len(table) // 2])
    middle = table.index(b"PAR1") + 200  # within the first column
    (folder / "damaged.parquet").write_bytes(table[:middle] + bytes(300) + table[middle + 300 :])
    pd.DataFrame({"file": FILES, "embedding": [[0.0]] * len(FILES)}).to_parquet(folder / "foreign.parquet")
    recipe = replace(RECIPE, encoder_hash=describe_encoder().hash)
    write_collection(folder / "own.parquet", FILES[:2], np.eye(2, 4, dtype=np.float32), 2, recipe)
    write_video(folder / "clip.avi", frames=60)
    (folder / "damaged.avi").write_bytes((folder / "clip.avi").read_bytes()[:300])
    (folder / "clip.csv").write_text("frame,label\n1,x\n")
    (folder / "mine.html").write_text("<title>mine</title>")
    save_encoder(folder / "smaller", shipped_encoder("rgb"), "small", replace(SHIPPED_CLIP, size=32, input="rgb"))


@pytest.mark.parametrize(
    "words",
    [
        ("embed", "none.avi"),
        ("embed", ".", "--window", "0"),
        ("search", "none.avi"),
        ("duplicates", "--in", "none.parquet"),
        ("duplicates", "--split", "none.csv"),
        ("duplicates", "--split", "labels.csv"),
        ("duplicates", "--threshold", "2"),
        ("search", "labels.csv", "--in", "none.parquet"),
        ("search", "labels.csv", "--start", "3", "--end", "2"),
        ("search", "labels.csv", "--in", "labels.csv"),
        ("sort", "none.csv"),
        ("sort", "labels.csv", "--in", "none.parquet"),
        ("surprise", "none.avi"),
        ("surprise", "labels.csv", "--step", "0"),
        ("explore", "--in", "none.parquet"),
        ("sort", "labels.csv", "--in", "labels.csv"),
        ("explore", "--in", "labels.csv"),
        ("duplicates", "--in", "labels.csv"),
        ("sort", "labels.csv", "--in", "cut.parquet"),
        ("explore", "--in", "cut.parquet"),
        ("duplicates", "--in", "cut.parquet"),
        ("search", FILES[0], "--in", "cut.parquet"),
        ("sort", "labels.csv", "--in", "damaged.parquet"),
        ("explore", "--in", "damaged.parquet"),
        ("duplicates", "--in", "damaged.parquet"),
        ("search", FILES[0], "--in", "damaged.parquet"),
        ("sort", "labels.csv", "--in", "foreign.parquet"),
        ("explore", "--in", "foreign.parquet"),
        ("duplicates", "--in", "foreign.parquet"),
        ("search", FILES[0], "--in", "foreign.parquet"),
        ("search", "clip.avi", "--encoder", "shipped"),  # not the encoder of the table
        ("search", "clip.avi", "--encoder", "smaller"),  # whose clips have another size
        ("search", "damaged.avi", "--in", "own.parquet"),
        ("sort", "damaged.avi"),
        ("sort", "labels.csv", "--out", "clip.csv"),
        ("explore", "--out", "mine.html"),
        ("search", FILES[0], "--html", "mine.html"),
        ("surprise", "clip.avi", "--model", "smaller", "--out", "labels.csv"),
        ("export", "--out", "labels.csv"),
        ("export", "--out", "new", "--encoder", "none"),
    ],
)
def test_bad_input_is_an_error_of_the_user(words: tuple[str, ...], table: Path, tmp_path: Path) -> None:
    """The command prints it in one line, see test_main."""
    labels(tmp_path / "labels.csv", FILES[::6])
    write_bad_input(tmp_path, table.read_bytes())
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    done = run(*words)
    assert isinstance(done.exception, UserError), done.output
    assert any(word in str(done.exception) for word in words[1:]) or "--window" in words
    assert len(str(done.exception).splitlines()) == 1
    assert done.output == ""
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert after == before, "nothing is lost, and nothing is left behind"
