"""`mofore compare` with DVC: runs of the present code are queued, and groups held out that were not trained on."""

import sys
from pathlib import Path

import pytest

from mofore.videos.synthetic.make import make_demo
from tests.helpers.processes import wait_until
from tests.helpers.small_project import SMALL, commit, make_project, run

pytestmark = pytest.mark.slow
COMPARE = sys.executable, "-m", "mofore.cli.main", "compare"
SET = "武术 (2), it's"
HELD_OUT = "pretrain.lr=1e-2", "--held-out", "--set", f"../{SET}", "--seed", "2"


def test_compared_runs_are_of_the_present_code(tmp_path: Path) -> None:
    project = tmp_path / "mofore"
    make_project(project, SMALL)
    run("dvc", "repro", "embed", cwd=project)
    commit(project)
    with (project / "mofore/training/step.py").open("a") as file:
        file.write("# edited, and committed without dvc repro\n")
    commit(project)
    make_demo(tmp_path, groups=4, clips=1, seed=7, workers=1)
    (tmp_path / "videos").rename(tmp_path / SET)

    plain = "embed.spread=0", "--set", "demo", "--set", f"../{SET}"
    assert "compare: 4 runs queued" in run(*COMPARE, "queue", *plain, cwd=project).stdout
    assert "compare: 2 runs queued" in run(*COMPARE, "queue", *HELD_OUT, cwd=project).stdout
    run("dvc", "queue", "start", cwd=project)
    wait_until(lambda: run("dvc", "queue", "status", cwd=project).stdout.count("Success") == 6, 1800)

    table = run(*COMPARE, *plain, cwd=project).stdout.splitlines()
    assert len(table) == 1 + 2 * 2 + 1
    assert all(line.split()[-2:] == ["42", "42"] for line in table[1:3]), "the training side of the demo"
    table = run(*COMPARE, *HELD_OUT, cwd=project).stdout.splitlines()
    assert [line.removeprefix(f"../{SET}").split()[0] for line in table[1:4]] == ["linear", "r_at_1", "skill"]
    assert all(line.split()[-2:] == ["14", "14"] for line in table[1:3]), "a third of 42 training videos"
    assert "0 runs queued" in run(*COMPARE, "queue", *HELD_OUT, cwd=project).stdout
