"""A commit's results count as its own only if its code and parameters are those that made them."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import pytest

from mofore.experiments import runs
from mofore.experiments.lock import stage_is_current
from mofore.experiments.runs import read_experiments

PIPELINE = """
stages:
  pretrain:
    cmd: cp code/step.py model
    deps: [code, videos]
    params: [train.lr]
    outs: [model]
  report:
    cmd: cp model scores
    deps: [model]
    outs: [scores]
  other:
    cmd: cp model more
    deps: [model, note.txt]
    outs: [more]
"""


def run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def commit() -> None:
    run("git", "add", "-A")
    run("git", "-c", "user.email=test@example.org", "-c", "user.name=Test", "commit", "-qm", "run", "--allow-empty")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository with a project of DVC in a subfolder, all of whose stages have run."""
    folder = tmp_path_factory.mktemp("finished")
    project = folder / "project"
    (project / "code/deep").mkdir(parents=True)
    (project / "videos").mkdir()
    files = {
        "dvc.yaml": PIPELINE,
        "params.yaml": "train:\n  lr: 1e-3\nreport: 1\n",
        "code/step.py": "step",
        "code/deep/a.py": "a",
        "code/deep-.py": "sorts before the folder",
        "code/__pycache__/step.pyc": "bytes",
        "videos/.gitkeep": "",
        "note.txt": "note",
        ".gitignore": "__pycache__\nvideos/*\n!videos/.gitkeep\n",
        ".dvcignore": "__pycache__\nvideos/.gitkeep\n",
    }
    for name, text in files.items():
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(text)
    (project / "videos/a.mp4").write_text("not in git")
    with chdir(project):
        run("git", "init", "-q", str(folder))
        run(sys.executable, "-m", "dvc", "init", "-q", "--subdir")
        run(sys.executable, "-m", "dvc", "repro", "-q")
        commit()
    return folder


@pytest.fixture
def project(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the finished project, in which this test works."""
    shutil.copytree(finished, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy/project")
    return tmp_path / "copy/project"


def edit(name: str, text: str) -> Callable[[Path], None]:
    def change(project: Path) -> None:
        (project / name).write_text(text)

    return change


def repro_one_stage(project: Path) -> None:
    edit("code/step.py", "step 2")(project)
    run(sys.executable, "-m", "dvc", "repro", "-q", "pretrain")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "current"),
    [
        (lambda _: None, True),
        (edit("note.txt", "only another stage reads this"), True),
        (edit("params.yaml", "train:\n  lr: 0.001  # the same\nreport: 2\n"), True),
        (edit("code/deep/a.py", "b"), False),
        (edit("code/new.py", ""), False),
        (edit("params.yaml", "train:\n  lr: 1e-2\nreport: 1\n"), False),
        (repro_one_stage, False),
    ],
)
def test_results_are_those_of_the_commit(change: Callable[[Path], None], current: bool, project: Path) -> None:
    change(project)
    commit()
    (project / "code/step.py").write_text("the workspace does not matter")
    assert stage_is_current("HEAD", "report") == current


@pytest.mark.slow
def test_a_commit_of_other_code_has_no_scores(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "read_scores", lambda _: {"mofore.linear": 0.5})
    assert read_experiments()[0].scores
    edit("code/step.py", "step 2")(project)
    commit()
    assert not read_experiments()[0].scores


@pytest.mark.slow
def test_a_commit_without_a_run_is_not_current(project: Path) -> None:
    (project / "dvc.lock").unlink()
    commit()
    assert not stage_is_current("HEAD", "report")
