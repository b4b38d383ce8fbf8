"""Files and closing line of the stage `structure`, with awkward names, and without classes and groups."""

import json
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import silhouette_score

from mofore.clips.sampling import clip_span
from mofore.config import load_params
from mofore.embedding.store import OPTIONAL, REPRESENTATIONS, write_embeddings
from tests.helpers.clip_files import write_clip_embeddings

ROOT = Path(__file__).parents[2]


def run_stage(folder: Path, monkeypatch: pytest.MonkeyPatch, table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Write embeddings as `embed` and `controls` do, run the stage, and read what it wrote."""
    (folder / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    span = clip_span(load_params(folder / "params.yaml").clip)
    start_VK = np.tile([0, span, 2 * span], (len(table), 1))
    for seed, (row, kept_in) in enumerate(REPRESENTATIONS.items()):
        if row not in OPTIONAL:
            x_VKD = np.random.default_rng(seed).normal(size=(len(table), 3, 5)).astype(np.float32)
            write_embeddings(folder / kept_in / f"{row}.parquet", table, x_VKD.mean(axis=1))
        if row in ("mofore", "random_init"):
            write_clip_embeddings(folder / kept_in / f"{row}_clips.parquet", table, start_VK, x_VKD)
    monkeypatch.chdir(folder)
    runpy.run_path(str(ROOT / "stages/structure.py"), run_name="__main__")
    return dict(json.loads((folder / "results/structure.json").read_text()))


@pytest.mark.slow
def test_the_stage_scores_every_row_on_held_out_videos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    label = np.repeat(["a, b", 'c "d"\n$e'], 8)
    group = np.repeat([f"g{i}" for i in range(8)], 2)
    split = np.repeat(["test", "train"] * 4, 2)
    table = pd.DataFrame({"video": [f"v{i}, $" for i in range(16)], "label": label, "group": group, "split": split})
    scores = run_stage(tmp_path, monkeypatch, table)
    assert list(scores) == [row for row in REPRESENTATIONS if row not in OPTIONAL]
    assert {row for row in scores if "alignment" in scores[row]} == {"mofore", "random_init"}
    x = np.random.default_rng(0).normal(size=(16, 3, 5)).astype(np.float32).mean(axis=1)[split == "test"]
    known = silhouette_score(x, label[split == "test"], metric="cosine")
    assert scores["mofore"]["silhouette_class"] == pytest.approx(known, abs=1e-5)
    out = capsys.readouterr().out
    assert out.startswith(f"structure: silhouette by class mofore {known:.3f}, random_init ")
    assert out.count("\n") == 1


def test_the_stage_without_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.DataFrame({"video": ["v"], "label": [""], "group": ["v"], "split": ["train"]})
    scores = run_stage(tmp_path, monkeypatch, table)
    assert set(scores["mofore"]) == {"effective_rank", "alignment", "alignment_low", "alignment_high"}
    assert capsys.readouterr().out == ("structure: silhouette by class not defined; by group not defined\n")
