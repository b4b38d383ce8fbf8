"""The notebook of one's own videos runs as it is."""

import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_every_cell_runs(tmp_path: Path) -> None:
    read: Any = nbformat.read  # has no types
    notebook = read(ROOT / "notebooks" / "own_videos.ipynb", as_version=4)
    options: dict[str, Any] = {"timeout": 600, "startup_timeout": 300, "iopub_timeout": 60, "kernel_name": "python3"}
    client = NotebookClient(notebook, **options, resources={"metadata": {"path": str(tmp_path)}})
    client.execute(env={**os.environ, "PYTHONPATH": str(ROOT)})
    outputs = [str(cell.get("outputs", [])) for cell in notebook.cells if cell.cell_type == "code"]
    assert "start_s" in outputs[1], "the table"
    assert "score" in outputs[2], "what was found"
    assert "28 videos labelled from 28 labels of 14 classes" in outputs[-1]
    assert {path.name for path in tmp_path.glob("*.*")} >= {"embeddings.parquet", "search.html", "labels.csv"}
