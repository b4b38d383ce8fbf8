"""The files and the closing line of the stage `paper`, also for videos with nothing to compare."""

import json
import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from mofore.config import Params
from mofore.embedding.store import write_embeddings
from mofore.evaluation.paper_measures import PAPER
from mofore.method.encoders import build_encoder, save_encoder
from mofore.method.model import MoFore
from mofore.method.saved_model import save_forecaster
from tests.helpers.clip_files import write_clip_embeddings
from tests.helpers.small_project import edit

ROOT = Path(__file__).parents[2]
NAMES = ["v_YoYo_g19_c02", "v_YoYo_g20_c01", "v_SkyDiving_g06_c03", "v_SkyDiving_g07_c01"]


def make_project(folder: Path, params: Params, names: list[str], label: list[str], clips: int, keep: str) -> None:
    """Write a model, and embeddings as the stage `embed` does; the last half of the videos is held out."""
    forecast = replace(params.forecast, projection_dim=8, hidden_dim=16)
    torch.manual_seed(0)
    model = MoFore(build_encoder("small", 0, params.clip.input), forecast, keep)
    save_encoder(folder / "data/model", model.encoder, "small", params.clip)
    save_forecaster(folder / "data/model", model, forecast)
    split = ["test" if i >= len(names) // 2 else "train" for i in range(len(names))]
    table = pd.DataFrame({"video": names, "label": label, "group": names, "split": split})
    start_VK = np.tile(40 * np.arange(clips), (len(names), 1))
    embeddings = folder / "data/embeddings"
    dims = {"mofore": 192, "random_init": 192, "targets": 8} | ({"contexts": 192} if keep == "ema" else {})
    for seed, (name, dim) in enumerate(dims.items()):
        x_VKD = np.random.default_rng(seed).normal(size=(len(names), clips, dim)).astype(np.float32)
        write_clip_embeddings(embeddings / f"{name}_clips.parquet", table, start_VK, x_VKD)
        if name in ("mofore", "random_init"):
            write_embeddings(embeddings / f"{name}.parquet", table, x_VKD.mean(axis=1))
    (folder / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())


def run_stage(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[dict[str, Any], str]:
    monkeypatch.chdir(folder)
    runpy.run_path(str(ROOT / "stages/paper.py"), run_name="__main__")
    return json.loads((folder / "results/paper.json").read_text()), capsys.readouterr().out


@pytest.mark.parametrize("keep", ["online", "ema"])
def test_videos_of_ucf101_in_a_folder(
    keep: str, tmp_path: Path, params: Params, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"any/{name}.avi" for name in NAMES * 2]
    names = [name.replace("_c0", f"_c{i // 4}") if i >= 4 else name for i, name in enumerate(names)]
    make_project(tmp_path, params, names, ["YoYo", "YoYo", "SkyDiving", "SkyDiving"] * 2, 6, keep)
    edit(tmp_path, {"data.source": "folder"})
    found, out = run_stage(tmp_path, monkeypatch, capsys)
    assert list(found) == ["mofore", "random_init", "examples", "paper"]
    assert found["paper"] == PAPER
    measures = {*PAPER, "forecasting_error_relative"}
    ends = {f"{name}{end}" for name in measures for end in ("", "_low", "_high")}
    assert set(found["mofore"]) == set(found["random_init"]) == ends | {"effective_rank", "spread"}
    assert set(found["examples"]["mofore"]) == PAPER.keys() - {"forecasting_error"}
    assert found["mofore"] != found["random_init"]
    assert out.startswith(f"paper: forecasting error {found['mofore']['forecasting_error']:.4f} (")
    assert f"same video {found['mofore']['same_video']:.3f} ({found['random_init']['same_video']:.3f})" in out
    assert out.count("\n") == 1
    first = (tmp_path / "results/paper.json").read_bytes()
    run_stage(tmp_path, monkeypatch, capsys)
    assert (tmp_path / "results/paper.json").read_bytes() == first


def test_ema_forecasts_from_the_features_of_the_online_encoder(
    tmp_path: Path, params: Params, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_project(tmp_path, params, NAMES, [""] * 4, 6, "ema")
    before, _ = run_stage(tmp_path, monkeypatch, capsys)
    table = pd.read_parquet(tmp_path / "data/embeddings/contexts_clips.parquet")
    table["embedding"] = [2 * x_D for x_D in table["embedding"]]
    table.to_parquet(tmp_path / "data/embeddings/contexts_clips.parquet")
    after, _ = run_stage(tmp_path, monkeypatch, capsys)
    assert after["mofore"]["forecasting_error"] != before["mofore"]["forecasting_error"]
    assert after["mofore"]["same_video"] == before["mofore"]["same_video"]
    assert "paper" not in after, "data.source is demo"


@pytest.mark.parametrize(("videos", "clips"), [(1, 1), (1, 6), (6, 1)])
def test_nothing_to_compare(
    videos: int,
    clips: int,
    tmp_path: Path,
    params: Params,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Unlabelled videos, one video, one clip a video."""
    make_project(tmp_path, params, [f"{i}.avi" for i in range(videos)], [""] * videos, clips, "online")
    found, out = run_stage(tmp_path, monkeypatch, capsys)
    assert list(found) == ["mofore", "random_init"]
    for scores in found.values():
        assert {"effective_rank", "spread"} <= set(scores)
        assert "same_class" not in scores
        assert ("same_video" in scores) == ("forecasting_error" in scores) == (clips > 1)
    assert out.endswith("; in brackets: random weights\n")
