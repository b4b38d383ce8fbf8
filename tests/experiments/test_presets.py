"""Presets: params.yaml gets the new values, keeps everything else, and is never left invalid."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from mofore.config import load_params
from mofore.errors import UserError
from mofore.experiments.presets import compose_preset, list_presets, preset_params, switch

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "params.yaml").read_text()
NAMES = ["demo", "hmdb51", "paper", "ucf101", "ucf101_24gb"]
REAL = [name for name in NAMES if name != "demo"]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """params.yaml in a temporary working directory with a copy of the presets."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "presets", tmp_path / "presets")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    return Path("params.yaml")


def comments(text: str) -> list[str]:
    return re.findall(r"#.*", text)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mofore.experiments.presets", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_preset_demo_equals_the_committed_params_yaml(file: Path) -> None:
    assert switch("demo", [], file) == []
    assert file.read_text() == TEXT
    whole = OmegaConf.to_container(OmegaConf.load(file))
    assert isinstance(whole, dict)
    del whole["runtime"]
    assert OmegaConf.to_container(compose_preset("demo", [])) == whole, "a key that the preset lacks would not be reset"


@pytest.mark.parametrize("name", REAL)
def test_switching_there_and_back_restores_every_byte(file: Path, name: str) -> None:
    changes = switch(name, ["pretrain.lr=0.02", "data.path=/a/path/so/long/that/it/moves/the/comment"], file)
    assert len(changes) > 10
    there = file.read_text()
    lines = list(zip(TEXT.splitlines(), there.splitlines(), strict=True))
    assert sum(a != b for a, b in lines) == len(changes)
    assert comments(there) == comments(TEXT)
    back = switch("demo", [], file)
    assert [(key, new, old) for key, old, new in back] == changes
    assert file.read_text() == TEXT


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_preset_gives_the_same_file_after_any_other_preset(file: Path, name: str) -> None:
    seen = set()
    for before in NAMES:
        switch(before, [], file)
        switch(name, [], file)
        load_params(file)
        seen.add(file.read_text())
    assert len(seen) == 1, "a value of another preset was not reset"


@pytest.mark.slow
def test_presets_have_the_sizes_that_they_document(file: Path) -> None:
    for name, source, batch in (("ucf101", "ucf101", 256), ("ucf101_24gb", "ucf101", 64), ("hmdb51", "folder", 64)):
        params = preset_params(name, [], file)
        assert (params.data.source, params.pretrain.batch_size) == (source, batch)
        assert (params.encoder.name, params.clip.frames, params.clip.size) == ("r3d_18", 16, 112)
    assert file.read_text() == TEXT


def test_overrides_take_precedence_and_machine_settings_stay(file: Path) -> None:
    file.write_text(TEXT.replace("device: auto ", "device: cpu  "))
    switch("ucf101", ["pretrain.epochs=100", "+forecast.gap_max=20", "runtime.workers=3", "seed=7"], file)
    params = load_params(file)
    assert (params.pretrain.epochs, params.forecast.gap_max, params.seed) == (100, 20, 7)
    assert (params.runtime.workers, params.runtime.device) == (3, "cpu")
    assert f"{'  epochs: 100':32}# passes" in file.read_text()


def test_manual_edits_are_listed_as_changes(file: Path) -> None:
    file.write_text(TEXT.replace("k: 20 ", "k: 5  "))
    assert switch("demo", [], file) == [("knn.k", "5", "20")]


@pytest.mark.slow
@given(
    lr=st.floats(1e-8, 10),
    gap=st.integers(0, 10**9),
    path=st.one_of(
        st.sampled_from(
            ["1e5", "yes", "null", "a~", "0x1f", "a # b", "a: b", "it's", '"', "- a", "{", "NaN", " a ", "é"]
        ),
        st.text(st.characters(codec="utf-8", exclude_characters="$\\"), min_size=1, max_size=30),
    ).filter(lambda path: not path.startswith("~")),  # which no path may
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_value_survives_writing_and_reading(file: Path, lr: float, gap: int, path: str) -> None:
    file.write_text(TEXT)
    quoted = "'" + path.replace("'", "\\'") + "'"
    switch("ucf101", [f"pretrain.lr={lr!r}", f"forecast.gap_max={gap}", f"data.path={quoted}"], file)
    params = load_params(file)
    assert (params.pretrain.lr, params.forecast.gap_max, params.data.path) == (lr, gap, path)
    assert len(file.read_text().splitlines()) == len(TEXT.splitlines())
    switch("demo", [], file)
    assert file.read_text() == TEXT


def test_other_layouts_are_kept(file: Path) -> None:
    momentum = TEXT[TEXT.index("momentum:") : TEXT.index("encoder:")]
    text = TEXT.replace(momentum, "momentum: {start: 0.9, end: 1.0} # from, to\n").replace("\n", "\r\n")
    text = text.replace("  k: 20  ", "  k:    20")
    file.write_bytes(text.encode())
    switch("ucf101", ["knn.k=7", "momentum.end=0.999"], file)
    edited = file.read_bytes().decode()
    assert f"knn:\r\n{'  k:    7':32}# neighbours" in edited
    assert "\nmomentum: {start: 0.994, end: 0.999} # from, to\r\n" in edited
    assert edited.count("\r\n") == text.count("\r\n") == edited.count("\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ucf11"], "presets/ucf11.yaml: no such preset - did you mean 'ucf101'?"),
        (["../x"], "presets/../x.yaml: no such preset - there are demo, hmdb51, paper, ucf101, ucf101_24gb"),
        (["ucf101", "forecast.gap_mx=3"], "unknown key 'forecast.gap_mx' - did you mean 'forecast.gap_max'?"),
        (["ucf101", "forecast.gap_max=-3"], "params.yaml: forecast.gap_max is -3, but must be at least 0"),
        (["ucf101", "forecast.gap_max=abc"], "params.yaml: forecast.gap_max: Value 'abc'"),
        (["ucf101", "forecast=3"], "params.yaml: 'forecast' must be a section of keys, not 3"),
        (["ucf101", "data.path=${nothing}"], "params.yaml: data.path: Interpolation key 'nothing' not found"),
        (["ucf101", "forecast.gap_max"], "'forecast.gap_max': not an override: write key=value"),
        (["ucf101", "forecast.gap_max=[1"], "'forecast.gap_max=[1': not an override"),
        (["ucf101", "~forecast.gap_max"], "'~forecast.gap_max': only values of params.yaml can be set"),
        (["ucf101", "hydra.run.dir=x"], "'hydra.run.dir=x': only values of params.yaml can be set"),
        (["ucf101", "forecast.gap_max=1,2"], "must be one value; to try several: dvc exp run --queue -S"),
    ],
)
def test_an_error_is_one_line_and_changes_nothing(file: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(UserError) as error:
        switch(arguments[0], arguments[1:], file)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert file.read_text() == TEXT
    assert sorted(path.name for path in Path().iterdir()) == ["params.yaml", "presets"]


def test_an_error_names_the_preset_that_cannot_be_composed(file: Path) -> None:
    Path("presets/mine.yaml").write_text("# mine\ndefaults: [nothing, _self_]\n")
    with pytest.raises(UserError, match=r"preset mine: .*'nothing'"):
        switch("mine", [], file)


@pytest.mark.slow
def test_the_command(file: Path) -> None:
    listed = run()
    assert listed.returncode == 0
    assert [line.split()[0] for line in listed.stdout.splitlines()[1:]] == NAMES == list(list_presets())
    assert all(len(line.split()) > 5 for line in listed.stdout.splitlines())

    done = run("ucf101", "pretrain.epochs=100")
    assert done.returncode == 0, done.stderr
    assert "pretrain.epochs: 48 -> 100" in done.stdout.splitlines()
    assert run("ucf101", "pretrain.epochs=100").stdout == "params.yaml: nothing changed\n"

    wrong = run("ucf101", "pretrain.epoch=100")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert wrong.stderr == "error: params.yaml: unknown key 'pretrain.epoch' - did you mean 'pretrain.epochs'?\n"


def test_another_working_directory_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="run this from the project's top folder"):
        list_presets()
