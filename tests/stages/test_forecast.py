"""The files and the closing line of the stage `forecast`."""

import json
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from mofore.config import Params
from mofore.method.encoders import build_encoder, save_encoder
from mofore.method.model import MoFore
from mofore.method.saved_model import save_forecaster
from tests.helpers.forecast_world import P, World, world

ROOT = Path(__file__).parents[2]


def make_project(folder: Path, params: Params, w: World) -> None:
    """Write what the stage reads: a model, and embeddings in the format of the embed stage."""
    torch.manual_seed(0)
    model = MoFore(build_encoder("small", 0), replace(params.forecast, projection_dim=P))
    save_encoder(folder / "data/model", model.encoder, "small", params.clip)
    save_forecaster(folder / "data/model", model, replace(params.forecast, projection_dim=P, gap_max=20))
    features = np.random.default_rng(0).normal(size=(len(w.features.video), 192)).astype(np.float32)
    embeddings = folder / "data/embeddings"
    embeddings.mkdir()
    for name, clips, x_ND in (("mofore", w.features, features), ("targets", w.targets, w.targets.x_ND)):
        columns = {"video": clips.video, "start": clips.start, "embedding": list(x_ND)}
        pq.write_table(pa.table(columns), embeddings / f"{name}_clips.parquet")
    text = {column: getattr(w.videos, column) for column in ("video", "label", "group", "split")}
    pq.write_table(pa.table({**text, "embedding": list(w.videos.x_ND)}), embeddings / "mofore.parquet")
    (folder / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())


@pytest.mark.parametrize("clips", [10, 1])
def test_the_stage_writes_its_files(
    clips: int, tmp_path: Path, tiny: Params, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """For unlabelled videos, long enough for pairs of clips (10 clips) or not (1 clip)."""
    make_project(tmp_path, tiny, world(clips=clips, step=10))
    monkeypatch.chdir(tmp_path)
    stage = runpy.run_path(str(ROOT / "stages/forecast.py"))
    written = []
    for _ in range(2):
        stage["main"]()
        written.append([path.read_bytes() for path in sorted(Path("results").iterdir())])
    assert written[0] == written[1]
    scores = json.loads(Path("results/forecast.json").read_text())
    skill, accuracy = pd.read_csv("results/forecast.csv"), pd.read_csv("results/forecast_accuracy.csv")
    assert list(skill) == ["series", "gap", "skill", "low", "high", "trained"]
    assert list(accuracy) == ["series", "gap", "share", "low", "high", "chance", "trained"]
    closing = capsys.readouterr().out.splitlines()[-1]
    if clips == 1:
        assert scores == {"mofore": {}}
        assert len(skill) == len(accuracy) == 0
        assert closing == "forecast: no skill: every video is too short for two clips that do not overlap"
    else:
        assert set(skill.trained) == {True, False}
        assert all(np.isfinite(value) for value in scores["mofore"].values())
        assert f"skill {scores['mofore']['skill_persistence']:.3f} against persistence" in closing
