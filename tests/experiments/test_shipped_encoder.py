"""The command that makes the shipped encoder, on little data."""

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from mofore.config import Params
from mofore.experiments.shipped_encoder import SEED, _key, stream_params

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


def test_a_stopped_run_goes_on_only_with_the_same_parameters(params: Params) -> None:
    same = _key("motion", 16, 3, asdict(params.contrast))
    assert _key("motion", 16, 3, asdict(params.contrast)) == same
    params.contrast.weight = 0.5
    assert _key("motion", 16, 3, asdict(params.contrast)) != same


def test_it_is_trained_from_random_weights_with_the_projects_parameters(params: Params) -> None:
    made = stream_params(params, "rgb")
    assert (made.clip.input, made.encoder.start, made.contrast.mask_groups) == ("rgb", "random", False)
    assert made.forecast == replace(params.forecast, residual=False)
    assert made.contrast == replace(params.contrast, anchor="forecast", mask_groups=False)
    assert params.forecast.residual
    assert params.clip.input == "residual", "the given parameters stay as they are"
