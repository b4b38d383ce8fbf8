"""The whole pipeline under DVC, on little data, in its own repository."""

import compileall
import json
import re
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient

from tests.helpers.small_project import (
    ROOT,
    SMALL,
    commit,
    edit,
    environment,
    make_project,
    restored,
    restored_project,
    run,
)

pytestmark = pytest.mark.slow
NOTEBOOK = Path("notebooks/open_a_run.ipynb")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which the whole pipeline has run and is committed. Tests that change it restore it."""
    project = tmp_path_factory.mktemp("pipeline") / "mofore"
    make_project(project, SMALL)
    run("dvc", "repro", cwd=project)
    commit(project)
    return project


def stale_stages(project: Path) -> list[str]:
    """Return the stages that `dvc status` reports as changed."""
    return re.findall(r"^(\w+):", run("dvc", "status", cwd=project).stdout, flags=re.MULTILINE)


STAGES = [
    *("download", "extract_frames", "manifest", "pretrain", "embed", "controls", "supervised"),
    *("linear", "knn", "temporal", "forecast", "paper", "structure", "plots", "report"),
]
ROWS = [
    "mofore",
    "random_init",
    "mofore_shuffled",
    "mofore_still",
    "metadata",
    "appearance",
    "motion",
    "motion_appearance",
    "shipped",
]


def test_every_result_is_written(project: Path) -> None:
    keys = {
        "linear": {"top1", "top1_low", "top1_high", "top5", "C", "cv_top1", "cv_top1_std"},
        "knn": {
            "top1",
            "top1_low",
            "r_at_1",
            "r_at_1_high",
            "r_at_5",
            "r_at_10",
            "r_at_20",
            "r_at_50",
            "centred_r_at_1",
        },
        "structure": {"effective_rank", "uniformity"},
    }
    for name, wanted in keys.items():
        scores = json.loads((project / f"results/{name}.json").read_text())
        assert list(scores) == ROWS
        assert all(wanted <= set(score) for score in scores.values())
        if name != "structure":
            leads = {"lead", "lead_low", "lead_high"}
            assert [leads <= set(score) for score in scores.values()] == [False] + 8 * [True]
    temporal = json.loads((project / "results/temporal.json").read_text())
    assert list(temporal) == ["mofore", "random_init"]
    assert {"same_video", "other_videos", "margin", "margin_in_sd", "effective_rank"} <= set(temporal["mofore"])
    forecast = json.loads((project / "results/forecast.json").read_text())["mofore"]
    assert {"skill_persistence", "skill_climatology_low", "gap_use", "accuracy_videos"} <= set(forecast)
    paper = json.loads((project / "results/paper.json").read_text())
    assert list(paper) == ["mofore", "random_init"]
    wanted = {"forecasting_error", "same_video", "temporal_consistency", "different_class", "spread"}
    assert all(wanted <= set(scores) for scores in paper.values())
    pretrained = json.loads((project / "results/pretrain.json").read_text())
    assert {"loss", "effective_rank", "clips_per_second", "seconds", "data_wait"} <= set(pretrained)
    for name in ROWS:
        folder = "controls" if name in ROWS[4:-1] else "embeddings"
        embeddings = pd.read_parquet(project / f"data/{folder}/{name}.parquet")
        assert embeddings.columns.tolist() == ["video", "label", "group", "split", "embedding"]
        assert len(embeddings) == 14 * 4
    assert (project / "data/model/encoder.safetensors").exists()
    assert "random weights" in (project / "results/report.html").read_text()


def test_a_group_in_both_splits_stops_the_run(project: Path, tmp_path: Path) -> None:
    """A test video is assigned to a training group, which is a leak between the splits."""
    copy = tmp_path / "copy"
    shutil.copytree(project, copy, symlinks=True, ignore=shutil.ignore_patterns(".dvc", ".git"))
    frames = copy / "data/frames/videos.csv"
    videos = pd.read_csv(frames, keep_default_na=False)
    train = videos[videos.split == "train"].iloc[0]
    videos.loc[videos.index[videos.split == "test"][0], "group"] = train.group
    frames.unlink()  # it may be a link into DVC's cache
    videos.to_csv(frames, index=False)
    for stage in ("pretrain", "embed", "controls"):
        done = run("python", f"stages/{stage}.py", cwd=copy, status=1)
        assert done.stderr.startswith(f"error: data/frames/videos.csv: group '{train.group}' is in train and in test")
        assert len(done.stderr.splitlines()) == 1

    file = copy / "data/embeddings/mofore.parquet"
    embeddings = pd.read_parquet(file)
    embeddings.loc[embeddings.index[embeddings.split == "test"][0], "group"] = train.group
    file.unlink()
    embeddings.to_parquet(file, index=False)
    for stage in ("linear", "knn", "temporal", "forecast", "paper", "structure"):
        done = run("python", f"stages/{stage}.py", cwd=copy, status=1)
        assert f"mofore.parquet: group '{train.group}' is in train and in test" in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_a_finished_run_is_up_to_date_and_committed(project: Path) -> None:
    assert "up to date" in run("dvc", "repro", cwd=project).stdout
    assert run("git", "status", "--porcelain", cwd=project).stdout == ""


@pytest.mark.parametrize(
    ("edited", "stale"),
    [
        ("mofore/report/overview.py", ["plots", "report"]),
        ("mofore/experiments/sweep.py", []),
        (
            "mofore/evaluation/knn.py",
            ["controls", "linear", "knn", "temporal", "forecast", "paper", "structure", "plots", "report"],
        ),
        ("mofore/training/step.py", ["pretrain", "supervised"]),
        ("mofore/method/losses.py", ["pretrain", "embed", "supervised", "forecast", "paper"]),
    ],
)
def test_a_code_change_makes_only_the_stages_stale_that_import_its_package(
    project: Path, edited: str, stale: list[str]
) -> None:
    with restored(project / edited):
        with (project / edited).open("a") as file:
            file.write("\n# edited\n")
        assert stale_stages(project) == stale


def test_byte_code_and_editor_files_make_no_stage_stale(project: Path) -> None:
    assert compileall.compile_dir(project / "mofore", quiet=1, force=True)
    (project / "mofore/method/.ipynb_checkpoints").mkdir(exist_ok=True)
    (project / "mofore/method/.ipynb_checkpoints/losses.py").write_text("left behind by an editor")
    assert stale_stages(project) == []


def test_a_change_of_runtime_settings_re_runs_nothing(project: Path) -> None:
    with restored(project / "params.yaml"):
        edit(project, {"runtime.workers": 2})
        assert stale_stages(project) == []


def test_another_split_or_seed_decodes_nothing_again(project: Path) -> None:
    with restored_project(project):
        edit(project, {"data.split": 2})
        params = project / "params.yaml"
        params.write_text(re.sub(r"^seed: \d+", "seed: 5", params.read_text(), count=1, flags=re.MULTILINE))
        stale = stale_stages(project)
        assert "manifest" in stale
        assert not {"download", "extract_frames"} & set(stale)
        packs = {path: path.stat().st_mtime_ns for path in (project / "data/frames/packs").iterdir()}
        before = (project / "data/frames/videos.csv").read_text()
        ran = run("dvc", "repro", "manifest", cwd=project).stdout
        assert "Stage 'extract_frames' didn't change" in ran
        assert (project / "data/frames/videos.csv").read_text() != before
        assert {path: path.stat().st_mtime_ns for path in (project / "data/frames/packs").iterdir()} == packs


def test_an_experiment_changes_only_the_named_line_and_can_be_compared(project: Path) -> None:
    before = (project / "params.yaml").read_text().splitlines()
    with restored_project(project):
        run("dvc", "exp", "run", "-S", "forecast.gap_max=20", "-n", "gap20", cwd=project)
        after = (project / "params.yaml").read_text().splitlines()
        changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
        assert len(changed) == 1
        assert re.match(r"  gap_max: 20 +#", changed[0][1])

        assert "gap20" in run("dvc", "exp", "show", "--csv", cwd=project).stdout
        metrics = json.loads(run("dvc", "metrics", "diff", "main", "gap20", "--json", cwd=project).stdout)
        assert "results/metrics.json" in str(metrics)
        run("dvc", "plots", "diff", "main", "gap20", cwd=project)
        assert (project / "dvc_plots/index.html").stat().st_size > 100_000


def test_a_misspelt_key_stops_every_stage_and_leaves_the_results(project: Path) -> None:
    params = project / "params.yaml"
    with restored(params):
        params.write_text(params.read_text().replace("gap_max:", "gap_mx:"))
        for stage in STAGES:
            done = run("python", f"stages/{stage}.py", cwd=project, status=1)
            assert done.stderr.splitlines() == [
                "error: params.yaml: unknown key 'forecast.gap_mx' - did you mean 'forecast.gap_max'?"
            ]
    assert "up to date" in run("dvc", "status", cwd=project).stdout


def test_all_stages_run_on_unlabelled_videos_of_the_user(project: Path, tmp_path: Path) -> None:
    own, copy = tmp_path / "own videos", tmp_path / "copy"
    own.mkdir()
    for i, video in enumerate(sorted((project / "data/raw/videos").rglob("*.avi"))[:24]):
        shutil.copy(video, own / f"clip {i}.avi")
    shutil.copytree(project, copy, symlinks=True, ignore=shutil.ignore_patterns("data", ".dvc", ".git"))
    (copy / "data/videos").mkdir(parents=True)
    edit(copy, {"data.source": "folder", "data.path": own})
    output = {}
    for stage in STAGES:
        output[stage] = run("python", f"stages/{stage}.py", cwd=copy).stdout
    assert "not scored: the split needs labelled test videos" in output["linear"]
    assert "not scored: the split needs labelled test videos" in output["knn"]
    for name in ("linear", "knn"):
        assert json.loads((copy / f"results/{name}.json").read_text()) == {row: {} for row in ROWS}
    assert "same_video" in json.loads((copy / "results/temporal.json").read_text())["mofore"]
    assert "skill_persistence" in json.loads((copy / "results/forecast.json").read_text())["mofore"]
    assert (copy / "results/report.html").stat().st_size > 50_000
    assert not list((copy / "data/raw").rglob("*.avi")), "the user's videos must not be copied"


def test_a_video_added_to_the_users_folder_is_extracted(project: Path, tmp_path: Path) -> None:
    videos = sorted((project / "data/raw/videos").rglob("*.avi"))
    new = tmp_path / "new.avi"
    shutil.copy(videos[10], new)
    own = tmp_path / "own"
    own.mkdir()
    for i, video in enumerate(videos[:9]):
        shutil.copy(video, own / f"{i}.avi")
    with restored_project(project):
        edit(project, {"data.source": "folder", "data.path": own})
        run("dvc", "repro", "manifest", cwd=project)
        assert "up to date" in run("dvc", "status", "manifest", cwd=project).stdout
        shutil.move(new, own / "new.avi")
        assert re.search(rf"modified: +{own}", run("dvc", "status", "download", cwd=project).stdout)
        run("dvc", "repro", "manifest", cwd=project)
        assert "new.avi" in (project / "data/frames/videos.csv").read_text()


def test_clips_longer_than_any_video_stop_before_training(project: Path) -> None:
    with restored(project / "params.yaml"):
        edit(project, {"clip.frames": 100, "clip.stride": 4})
        done = run("python", "stages/pretrain.py", cwd=project, status=1)
    assert len(done.stderr.splitlines()) == 1
    assert "clip.frames 100 x clip.stride 4" in done.stderr


def test_every_cell_of_the_notebook_runs_and_shows_the_scores(project: Path) -> None:
    read: Any = nbformat.read  # has no types
    notebook = read(ROOT / NOTEBOOK, as_version=4)
    folder = project / NOTEBOOK.parent
    folder.mkdir(exist_ok=True)
    client = NotebookClient(
        notebook,
        timeout=600,
        startup_timeout=300,
        iopub_timeout=60,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(env=environment(project))

    shown = "\n".join(str(output) for cell in notebook.cells for output in cell.get("outputs", []))
    linear = json.loads((project / "results/linear.json").read_text())
    for row, scores in linear.items():
        assert row in shown
        assert f"{scores['top1']:.3f} ({scores['top1_low']:.3f} to {scores['top1_high']:.3f})" in shown
    assert "image/png" in shown, "the frames of the neighbours are missing"
    assert "-> embedding (1, " in shown


def test_the_notebook_is_kept_without_outputs() -> None:
    """Outputs would differ between machines and change with every run."""
    cells = json.loads((ROOT / NOTEBOOK).read_text())["cells"]
    assert all(not cell.get("outputs") and cell.get("execution_count") is None for cell in cells)
