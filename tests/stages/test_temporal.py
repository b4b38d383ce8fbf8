"""Files and closing line of the stage `temporal`, with awkward names, and without pairs of clips."""

import json
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mofore.clips.sampling import clip_span
from mofore.config import load_params
from mofore.embedding.store import write_embeddings
from tests.helpers.clip_files import write_clip_embeddings

ROOT = Path(__file__).parents[2]


def write_project(folder: Path, clips: int, frames: int, split: list[str], label: list[str]) -> None:
    """Parquet files as the stage `embed` writes them, and the project's params."""
    (folder / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    videos = len(split)
    names = [f'a, "{i}"\n$x/v.avi' for i in range(videos)]
    table = pd.DataFrame({"video": names, "label": label, "group": names, "split": split})
    span = clip_span(load_params(folder / "params.yaml").clip)
    start_VK = np.tile(np.linspace(0, frames - span, clips).round().astype(np.int64), (videos, 1))
    for seed, encoder in enumerate(("mofore", "random_init")):
        x_VKD = np.random.default_rng(seed).normal(size=(videos, clips, 6)).astype(np.float32)
        write_embeddings(folder / f"data/embeddings/{encoder}.parquet", table, x_VKD.mean(axis=1))
        write_clip_embeddings(folder / f"data/embeddings/{encoder}_clips.parquet", table, start_VK, x_VKD)


def run_stage(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    monkeypatch.chdir(folder)
    runpy.run_path(str(ROOT / "stages/temporal.py"), run_name="__main__")
    return capsys.readouterr().out


def test_the_stage_writes_tables_and_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_project(tmp_path, clips=10, frames=100, split=["train", "test"] * 4, label=["a, b", "a, b", "$", "$"] * 2)
    out = run_stage(tmp_path, monkeypatch, capsys)
    assert out.startswith("temporal: margin of same video over other videos: mofore ")
    assert out.count("\n") == 1
    assert list(json.loads((tmp_path / "results/temporal.json").read_text())) == ["mofore", "random_init"]
    similarity = pd.read_csv(tmp_path / "results/temporal.csv")
    assert similarity.columns.tolist() == ["series", "gap", "similarity", "low", "high"]
    kinds = ("same video", "same class", "other class")
    assert similarity.series.unique().tolist() == [
        f"{row}, {kind}" for row in ("mofore", "random_init") for kind in kinds
    ]
    speed = pd.read_csv(tmp_path / "results/speed.csv")
    assert speed.columns.tolist() == ["encoder", "position", "speed", "low", "high"]
    assert speed.position.between(0, 1).all()
    first = [(tmp_path / f"results/{name}").read_bytes() for name in ("temporal.json", "temporal.csv", "speed.csv")]
    run_stage(tmp_path, monkeypatch, capsys)
    assert first == [
        (tmp_path / f"results/{name}").read_bytes() for name in ("temporal.json", "temporal.csv", "speed.csv")
    ]


def test_the_stage_without_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_project(tmp_path, clips=1, frames=100, split=["train"], label=[""])
    assert run_stage(tmp_path, monkeypatch, capsys) == "temporal: margin of same video over other videos: not defined\n"
    assert (tmp_path / "results/temporal.csv").read_text() == "series,gap,similarity,low,high\n"
    assert (tmp_path / "results/speed.csv").read_text() == "encoder,position,speed,low,high\n"
    assert set(json.loads((tmp_path / "results/temporal.json").read_text())["mofore"]) == {"effective_rank", "spread"}
