"""Reading params.yaml: valid files are loaded, and errors name the key and what to do."""

import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

from mofore.config import Params, load_params
from mofore.errors import UserError

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "params.yaml").read_text()


def write(tmp_path: Path, old: str, new: str) -> Path:
    assert TEXT.count(old) == 1, f"{old!r} must occur exactly once in params.yaml"
    file = tmp_path / "params.yaml"
    file.write_text(TEXT.replace(old, new))
    return file


def test_the_projects_own_file_is_valid() -> None:
    params = load_params(ROOT / "params.yaml")
    assert isinstance(params.pretrain.lr, float)
    assert isinstance(params.data.split, int)


def test_exponents_without_a_dot_are_numbers(tmp_path: Path) -> None:
    assert load_params(write(tmp_path, "weight_decay: 0.05 ", "weight_decay: 5e-05 ")).pretrain.weight_decay == 5e-5


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("gap_max:", "gap_mx:", "unknown key 'forecast.gap_mx' - did you mean 'forecast.gap_max'?"),
        (
            "  split: 1 ",
            "  split: '1' ",
            "data.split is '1', but must be one of 1, 2, 3, random: write the number without",
        ),
        ("\nknn:", "\nkn:", "unknown key 'kn' - did you mean 'knn'?"),
        ("\nseed: 1 ", "\n#", "missing key 'seed'"),
        ("gap_max: 48", "gap_max: abc", "forecast.gap_max: Value 'abc'"),
        ("gap_max: 48", "gap_max: 4.5", "forecast.gap_max: Value '4.5'"),
        ("gap_max: 48", "gap_max: null", "forecast.gap_max"),
        ("gap_max: 48", "gap_max: -1", "forecast.gap_max is -1, but must be at least 0"),
        ("path: data/videos", "path: ~/videos", "data.path is '~/videos': write the full path"),
        ("path: data/videos", 'path: ""', "data.path is '': write the full path"),
        ("gap_min: 0 ", "gap_min: 60 ", "forecast.gap_max is 48, below forecast.gap_min 60"),
        (
            "name: small",
            "name: smal",
            "encoder.name is 'smal', but must be one of small, r3d_18, r2plus1d_18, small_2d, resnet18, resnet50 - did",
        ),
        (
            "input: two_stream",
            "input: flow",
            "clip.input is 'flow', but must be one of rgb, residual, both, two_stream",
        ),
        (
            "input: two_stream",
            "input: both",
            "encoder.start is shipped, but the package has no weights of small for clip",
        ),
        ("start: shipped", "start: random", "encoder.keep is averaged, with the shipped weights, but encoder.start is"),
        ("source: demo", "source: ucf", "data.source is 'ucf', but must be one of"),
        ("flip: 0.5", "flip: 1.5", "augment.flip is 1.5, but must be from 0 to 1"),
        ("end: 1.0", "end: 0.2", "momentum.end is 0.2, below momentum.start"),
        ("size: 56", "size: 640", "clip.size is 640, above frames.short_side"),
        ("lr: ", "lr: .nan #", "pretrain.lr is nan, but must be from"),
        ("lr: ", "lr: [1, 2 #", "not valid YAML"),
        ("lr: ", "lr: {a: 1} #", "pretrain.lr"),
        ("\nclip:", "\nclip: 3\nclip2:", "'clip' must be a section of keys, not 3"),
    ],
)
def test_errors_name_the_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    file = write(tmp_path, old, new)
    with pytest.raises(UserError) as error:
        load_params(file)
    assert str(error.value).startswith(f"{file}: ")
    assert message in str(error.value)


def test_at_least_one_loss_must_have_a_weight(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(re.sub(r"weight: \S+", "weight: 0", TEXT))
    with pytest.raises(UserError, match=r"forecast.weight and contrast.weight are both 0"):
        load_params(file)


@pytest.mark.parametrize("text", ["", "- 1\n- 2\n", "just words"])
def test_a_file_that_is_not_a_map_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=r"params.yaml"):
        load_params(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file: run this from the project's top folder"):
        load_params(tmp_path / "params.yaml")


def test_every_key_has_a_comment_and_a_plain_value() -> None:
    """`dvc exp run -S` preserves the lines of a file of scalars and maps, but not lists, nulls and quotes."""
    for line in TEXT.splitlines():
        if not line or line.startswith("#") or re.fullmatch(r"\w+:", line):
            continue
        if re.fullmatch(r"\w+: +#.*", line):
            continue
        assert re.fullmatch(r" *\w+: [\w./+-]+ +# .+", line), line


def test_every_number_has_a_range_and_every_name_has_choices() -> None:
    def check(section: Any) -> None:
        for f in fields(section):
            if is_dataclass(f.type):
                check(f.type)
            elif f.type is bool:
                continue
            elif f.type in (int, float):
                assert "range" in f.metadata, f.name
            else:
                assert f.type in (str, int | str)
                assert "choices" in f.metadata or f.name in ("path", "queries", "device", "launcher"), f.name

    check(Params)
