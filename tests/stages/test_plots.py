"""The plots stage, run as DVC runs it."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.synthetic_results import CLASSES, write_embeddings, write_frames, write_results

ROOT = Path(__file__).parents[2]


def run_plots(folder: Path) -> "subprocess.CompletedProcess[str]":
    script = str(ROOT / "stages" / "plots.py")
    return subprocess.run([sys.executable, script], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    embeddings = tmp_path / "data" / "embeddings" / "mofore.parquet"
    write_embeddings(embeddings, ['say "hi", then\nwave', *CLASSES[:3]])
    write_frames(tmp_path / "data" / "frames", embeddings)
    write_results(tmp_path / "results", CLASSES)
    return tmp_path


@pytest.mark.slow
def test_writes_map_and_picture_the_same_each_time(project: Path) -> None:
    made = [project / "results" / "map.csv", project / "results" / "overview.png"]
    first = run_plots(project)
    assert first.returncode == 0, first.stderr
    assert "32 videos" in first.stdout.splitlines()[-1]
    bytes_of_first = [path.read_bytes() for path in made]
    assert run_plots(project).returncode == 0
    assert [path.read_bytes() for path in made] == bytes_of_first

    with made[0].open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["video", "label", "group", "split", "x", "y"]
    assert {row["label"] for row in rows} == {'say "hi", then\nwave', *CLASSES[:3]}


@pytest.mark.slow
def test_a_typo_in_params_stops_it_before_it_writes(project: Path) -> None:
    params = project / "params.yaml"
    params.write_text(params.read_text().replace("gap_max", "gap_mx"))
    run = run_plots(project)
    assert run.returncode == 1
    assert run.stderr.count("\n") == 1
    assert "gap_mx" in run.stderr
    assert not (project / "results" / "map.csv").exists()


@pytest.mark.slow
def test_an_unknown_class_of_queries_stops_it_before_it_writes(project: Path) -> None:
    params = project / "params.yaml"
    text = params.read_text()
    params.write_text(text.replace("queries: hardest", f"queries: {CLASSES[1]}+Skiing"))
    run = run_plots(project)
    assert run.returncode == 1
    assert run.stderr.startswith("error: params.yaml: report.queries: no test video is of class 'Skiing': use hardest")
    assert run.stderr.count("\n") == 1
    assert all(name in run.stderr for name in CLASSES[:3])
    assert not (project / "results" / "map.csv").exists()
    params.write_text(text.replace("queries: hardest", f"queries: {CLASSES[1]}+{CLASSES[0]}"))
    assert run_plots(project).returncode == 0


@pytest.mark.slow
def test_needs_no_torch() -> None:
    code = "import sys, plots; sys.exit('torch' in sys.modules)"
    path = os.pathsep.join([str(ROOT), str(ROOT / "stages")])
    run = subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path}, check=False)
    assert run.returncode == 0
