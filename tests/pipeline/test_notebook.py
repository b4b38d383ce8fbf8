"""The notebook opens a finished run: every cell runs, and its scores are those of the run."""

import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.helpers.small_project import ROOT, environment

NOTEBOOK = Path("notebooks/open_a_run.ipynb")


@pytest.mark.xdist_group("finished_project")
def test_every_cell_runs_and_shows_the_scores_of_the_run(finished_project: Path) -> None:
    notebook = nbformat.read(ROOT / NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    folder = finished_project / NOTEBOOK.parent
    folder.mkdir(exist_ok=True)
    client = NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    client.execute(env=environment(finished_project))

    shown = "\n".join(str(output) for cell in notebook.cells for output in cell.get("outputs", []))
    linear = json.loads((finished_project / "results/linear.json").read_text())
    for row, scores in linear.items():
        assert row in shown
        assert f"{scores['top1']:.3f} ({scores['top1_low']:.3f} to {scores['top1_high']:.3f})" in shown
    assert "image/png" in shown, "frames of the neighbours"
    assert "-> embedding (1, " in shown


def test_the_notebook_is_kept_without_outputs() -> None:
    """They would be of one machine, and change with every run."""
    cells = json.loads((ROOT / NOTEBOOK).read_text())["cells"]
    assert all(not cell.get("outputs") and cell.get("execution_count") is None for cell in cells)
