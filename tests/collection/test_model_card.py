import hashlib
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from mofore.collection.encoder import SHIPPED_CLIP, open_encoder
from mofore.collection.export import describe
from mofore.collection.model_card import hash_folder, model_card
from mofore.collection.shipped_card import CARD, shipped_card
from mofore.method.encoders import build_encoder, save_encoder
from tests.helpers.video_files import write_video

ROOT = Path(__file__).parents[2]
SCORES = [
    ("mofore", "linear", 0.9, 0.85, 0.95),
    ("mofore", "r_at_1", 0.8, 0.7, 0.9),
    ("motion", "linear", 0.75, 0.7, 0.8),
    ("motion", "r_at_1", 0.7, 0.6, 0.8),
    ("mofore", "skill", 0.03, 0.01, 0.05),
]


def exported_card(**cosines: float) -> str:
    encoder = open_encoder()
    return model_card(encoder, describe(encoder), True, cosines, "mit")


def card_of(folder: Path, license: str = "unknown") -> str:
    encoder = open_encoder(folder)
    return model_card(encoder, describe(encoder), False, {"onnx": 0.99999}, license)


def make_project(folder: Path, scores: list[Any] | None = None, split: int | str = 1) -> Path:
    """A project as after `dvc repro`; returns its `data/model`."""
    model, results = folder / "data/model", folder / "results"
    save_encoder(model, build_encoder("small", 1, "two_stream"), "small", SHIPPED_CLIP)
    results.mkdir()
    table = pd.DataFrame(SCORES if scores is None else scores, columns=["row", "measure", "score", "low", "high"])
    table.to_csv(results / "scores.csv", index=False)
    (results / "pretrain.json").write_text(json.dumps({"videos": 1234}))
    params = {"encoder": {"start": "shipped", "keep": "averaged"}, "pretrain": {"streams": "motion"}}
    data = {"source": "folder", "path": "/home/me/secret", "split": split}

    def entry(path: str) -> dict[str, str]:
        return {"path": path, "md5": hash_folder(model) if path == "data/model" else md5(folder / path)}

    stages = {
        "manifest": {"params": {"params.yaml": {"data": data}}},
        "pretrain": {
            "params": {"params.yaml": params},
            "outs": [entry("data/model"), entry("results/pretrain.json")],
        },
        "report": {"deps": [entry("data/model")], "outs": [entry("results/scores.csv")]},
    }
    (folder / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
    return model


def md5(file: Path) -> str:
    return hashlib.md5(file.read_bytes()).hexdigest()


def test_figures_of_the_shipped_encoder_are_those_of_the_docs() -> None:
    lines = (ROOT / "docs/results.md").read_text().replace("**", "").splitlines()
    rows = re.findall(r"^\| (.+?) (\| \d.* \|)$", exported_card(onnx=1.0).replace("**", ""), re.MULTILINE)
    assert len(rows) == 11
    for name, scores in rows:
        in_docs = "the shipped encoder, untouched" if name == "this encoder" else name
        assert any(line.startswith(f"| {in_docs}") and line.endswith(scores) for line in lines), name


def test_the_card_in_the_package_is_that_of_the_weights() -> None:
    assert CARD.read_text("utf-8") == shipped_card(), "write it anew: python -m mofore.collection.shipped_card"
    assert "python -m mofore.experiments.shipped_encoder --out mofore/method/shipped" in shipped_card()
    assert "with seed 202: 12,012 steps of the motion stream, 3,120 of the appearance stream" in shipped_card()
    for only_of_exports in ("Exported by", "config.json", "model.onnx", "model.pt2", "this folder"):
        assert only_of_exports not in shipped_card()


def test_code_of_the_card_in_the_package_runs() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", CARD.read_text("utf-8"), re.DOTALL)
    subprocess.run([sys.executable, "-c", f"{block}assert encoder.source == 'shipped'"], check=True)


def test_dvc_runs_nothing_anew_if_the_card_in_the_package_changes() -> None:
    assert CARD.relative_to(ROOT).as_posix() in (ROOT / ".dvcignore").read_text().splitlines()


def test_the_hub_reads_the_card(tmp_path: Path) -> None:
    card = exported_card(onnx=1.0, torch=1.0)
    head = yaml.safe_load(card.split("---\n")[1])
    assert head["license"] == "mit"
    assert head["library_name"] == "mofore"
    assert {"video", "onnx", "pytorch"} <= set(head["tags"])
    hub: Any = pytest.importorskip("huggingface_hub")
    (tmp_path / "README.md").write_text(card)
    loaded = hub.ModelCard.load(tmp_path / "README.md")
    assert loaded.data.to_dict() == head
    assert loaded.text.strip().startswith("# MoFore")


@pytest.mark.slow
def test_code_of_the_card_runs(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    from mofore.collection.export import export

    folder = export("shipped", tmp_path / "out").folder
    write_video(folder / "video.mp4", frames=60, size=(96, 64), codec="mp4v")
    blocks = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        checked = block + ("assert embedding.shape == (2, 384)\n" if "embedding" in block else "")
        subprocess.run([sys.executable, "-c", checked], cwd=folder, check=True)


def test_a_projects_encoder_has_its_scores(tmp_path: Path) -> None:
    card = card_of(make_project(tmp_path))
    assert "| **this encoder** | 0.900 (0.850 to 0.950) | 0.800 (0.700 to 0.900) |" in card
    assert "| hand-made motion | 0.750 (0.700 to 0.800) | 0.700 (0.600 to 0.800) |" in card
    assert "0.030 (0.010 to 0.050)" in card
    assert "1,234 training videos, without labels" in card
    assert "Only the motion stream was trained" in card
    assert "no group is on both sides" in card
    assert "secret" not in card
    assert "20,000 generated videos" not in card


def test_scores_of_a_random_split_come_with_a_warning(tmp_path: Path) -> None:
    assert "too good to be true" in card_of(make_project(tmp_path, split="random"))


def test_scores_without_labels(tmp_path: Path) -> None:
    card = card_of(make_project(tmp_path, scores=[SCORES[-1]]))
    assert "Not measured: the videos have no labels" in card


def test_scores_of_other_weights_are_left_out(tmp_path: Path) -> None:
    model = make_project(tmp_path)
    save_encoder(model, build_encoder("small", 2, "two_stream"), "small", SHIPPED_CLIP)
    card = card_of(model)
    assert "0.900" not in card
    assert "Not known: there are no results" in card
    assert "Not recorded with the encoder" in card


def test_changed_scores_are_left_out(tmp_path: Path) -> None:
    model = make_project(tmp_path)
    scores = tmp_path / "results/scores.csv"
    scores.write_text(scores.read_text().replace("0.9,", "0.99,"))
    card = card_of(model)
    assert "0.990" not in card
    assert "Not known: there are no results" in card
    assert "1,234 training videos" in card


def test_the_licence_of_ones_own_encoder_is_ones_own_choice(tmp_path: Path) -> None:
    clip = replace(SHIPPED_CLIP, input="residual")
    save_encoder(tmp_path, build_encoder("small", 1, clip.input), "small", clip)
    assert "Not chosen yet" in card_of(tmp_path)
    card = card_of(tmp_path, license="apache-2.0")
    assert "license: apache-2.0" in card
    assert "Not chosen yet" not in card


def test_hash_of_a_folder_is_that_of_dvc(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "b").mkdir(parents=True)
    for name in ("z.txt", "b/a.txt", "b c.txt", "é.txt"):
        (folder / name).write_text(name)
    dvc = [sys.executable, "-m", "dvc"]
    for arguments in (["init", "--no-scm", "-q"], ["add", "-q", "data"]):
        subprocess.run([*dvc, *arguments], cwd=tmp_path, check=True)
    assert yaml.safe_load((tmp_path / "data.dvc").read_text())["outs"][0]["md5"] == hash_folder(folder)
