"""The command that makes the shipped encoder, on little data."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mofore.config import Params
from mofore.experiments import shipped_encoder
from mofore.experiments.generated.params import SEED, stream_params
from mofore.experiments.presets import preset_params
from mofore.experiments.shipped_encoder import OUT, PACKAGE, TRAINING, _key, _needed

ROOT = Path(__file__).parents[2]


def make(folder: Path, *more: str) -> None:
    command = [sys.executable, "-m", "mofore.experiments.shipped_encoder", "--families", "16", "--steps", "3", *more]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "DVC_ROOT": str(folder)}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)


@pytest.mark.slow
def test_the_command_draws_trains_and_writes_the_same_weights_again(tmp_path: Path) -> None:
    make(tmp_path, "--out", str(tmp_path / "a"))
    make(tmp_path, "--out", str(tmp_path / "b"), "--stream", "motion")
    assert sorted(file.name for file in (tmp_path / "a").iterdir()) == [
        "appearance.json",
        "appearance.safetensors",
        "motion.json",
        "motion.safetensors",
    ]
    a, b = ((tmp_path / name / "motion.safetensors").read_bytes() for name in "ab")
    assert a == b
    assert (tmp_path / "a/appearance.safetensors").read_bytes() != a
    made_of = json.loads((tmp_path / "a/motion.json").read_text())
    assert (made_of["families"], made_of["steps"], made_of["seed"]) == (16, 3, SEED)
    assert not list((tmp_path / ".scratch/shipped_encoder").iterdir()), "checkpoints of a finished run are deleted"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--families", "3"], "--families is 3, but a batch has 16: use at least 16"),
        (["--steps", "0"], "--steps is 0, but must be at least 1"),
        (["--out", __file__], "is a file: name a folder"),
    ],
)
def test_wrong_arguments_get_one_line_before_any_work(wrong: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as stopped:
        make(tmp_path, *wrong)
    assert message in stopped.value.stderr
    assert stopped.value.stderr.count("\n") == 1
    assert not (tmp_path / ".scratch").exists()


def test_a_stopped_run_goes_on_only_with_the_same_parameters_and_code(
    params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in TRAINING:
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "code.py").write_text("1")
    monkeypatch.setattr(shipped_encoder, "PACKAGE", tmp_path)
    needed = _needed(params)
    same = _key(TRAINING, "motion", 16, 3, needed)
    assert _key(TRAINING, "motion", 16, 3, _needed(params)) == same
    params.contrast.weight = 0.5
    assert _key(TRAINING, "motion", 16, 3, _needed(params)) != same
    for folder in TRAINING:
        (tmp_path / folder / "code.py").write_text("2")
        changed = _key(TRAINING, "motion", 16, 3, needed)
        assert changed != same
        same = changed


def test_the_code_that_trains_is_found() -> None:
    assert all(list((PACKAGE / folder).glob("*.py")) for folder in TRAINING)


def test_parameters_of_the_project_do_not_change_it(params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    paper = preset_params("paper", [], ROOT / "params.yaml")
    made, made_with_paper = stream_params(params, "rgb"), stream_params(paper, "rgb")
    assert _needed(made) == _needed(made_with_paper)
    assert _needed(params) != _needed(paper)
    assert (made.clip.input, made.encoder.start, made.seed) == ("rgb", "random", SEED)
    assert made_with_paper.runtime == paper.runtime
    assert params.clip.input == "residual", "the given parameters stay as they are"


def test_a_trial_does_not_replace_the_shipped_weights() -> None:
    assert not OUT.resolve().is_relative_to(PACKAGE)
