"""`mofore doctor`: facts, trial, presets and verdict."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mofore.clips.dataset import ForecastDataset, Sample
from mofore.config import Params
from mofore.errors import UserError
from mofore.experiments import doctor
from mofore.experiments.machine import describe_machine
from mofore.frames.store import FrameStore

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
Packer = Callable[..., Path]


@pytest.fixture
def small(tiny: Params, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Params:
    """Tiny parameters instead of those of params.yaml and of the presets; no frames, and nothing is waited for."""
    monkeypatch.setattr(doctor, "load_params", lambda: tiny)
    monkeypatch.setattr(doctor, "preset_params", lambda *_: tiny)
    monkeypatch.setattr(doctor, "list_presets", lambda: {"one": "", "two": ""})
    monkeypatch.setattr(doctor, "describe_machine", lambda _: {"cores": "2"})
    monkeypatch.setattr(doctor, "LOADER_SECONDS", 0.2)
    monkeypatch.chdir(tmp_path)
    return tiny


@pytest.mark.usefixtures("small")
def test_it_says_what_it_measured_and_ends_with_a_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    doctor.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "cores      2"
    assert lines[2] == "losses of 5 steps on cpu differ from the CPU's in float32 by 0.00% (at most 1%)", (
        "the same device twice"
    )
    assert lines[3].startswith("training: ")
    assert lines[4] == "loader: not measured: data/frames has no frames for a batch"
    assert [line.split()[0] for line in lines[6:9]] == ["preset", "one", "two"]
    assert "GB of" in lines[7]
    after = "after `dvc repro extract_frames manifest` the loader can be measured, too"
    assert lines[-1] == f"verdict: cpu computes what it should; {after}"


def test_the_time_of_a_preset_is_that_of_whole_epochs(small: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "VIDEOS", {"demo": 10})
    monkeypatch.setattr(doctor, "measure_step", lambda *_: (60.0, 1.0))  # a minute a step
    small.pretrain.epochs, small.pretrain.min_steps = 3, 7  # of 10 // 4 = 2 steps, so 4 epochs are needed
    assert doctor.describe_preset("one", small, CPU).startswith("8 minutes ")


@pytest.mark.parametrize("wrong", [0.5, float("nan")])
def test_a_device_that_computes_something_else_is_an_error(
    wrong: float, small: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = doctor.compared_losses

    def compared_losses(params: Params, device: torch.device) -> list[float]:
        losses = real(params, device)
        return [loss + wrong for loss in losses] if params is small else losses

    monkeypatch.setattr(doctor, "compared_losses", compared_losses)
    with pytest.raises(UserError, match=r"^cpu: losses differ from those of the CPU by .*: do not trust it; set "):
        doctor.main()


def test_large_batches_are_not_compared_on_a_cpu(tiny: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    draw = doctor.drawn_batch

    def drawn_batch(params: Params, size: int, seed: int) -> Sample:
        sizes.append(size)
        return draw(params, size, seed)

    monkeypatch.setattr(doctor, "drawn_batch", drawn_batch)
    tiny.pretrain.batch_size = 256
    assert len(doctor.compared_losses(tiny, CPU)) == doctor.COMPARED
    assert set(sizes) == {doctor.CONTEXTS}
    assert tiny.pretrain.batch_size == 256


def test_drawn_clips_are_like_those_of_the_loader(pack: Packer, tiny: Params) -> None:
    tiny.forecast.futures = 2
    videos = FrameStore(pack([30, 30]))
    real = ForecastDataset(videos, tiny.clip, tiny.forecast, tiny.augment, tiny.seed)[0, 0]
    drawn = doctor.drawn_batch(tiny, 3, 0)
    for name, one, field in zip(Sample._fields, real, drawn, strict=True):
        expected = torch.as_tensor(one)
        assert field.shape == (3, *expected.shape), name
        assert field.dtype == expected.dtype, name
    assert not torch.equal(drawn.context_THWC, doctor.drawn_batch(tiny, 3, 1).context_THWC)


def test_the_loader_is_measured_if_there_are_frames(pack: Packer, small: Params, tmp_path: Path) -> None:
    frames = pack([30] * 8)
    (tmp_path / "data").mkdir()
    frames.rename(tmp_path / "data/frames")
    assert doctor.loader_rate(small, CPU) > 0
    small.pretrain.batch_size = 20
    assert doctor.loader_rate(small, CPU) == 0, "too few videos for a batch"


@pytest.mark.parametrize(
    ("trains", "loads", "expected"),
    [
        (100, 25, "waits for the loader 75% of the time"),
        (100, 300, "the loader keeps up"),
        (100, 0, "after `dvc repro extract_frames manifest`"),
    ],
)
def test_verdict(trains: float, loads: float, expected: str) -> None:
    assert expected in doctor.verdict(CPU, trains, loads)


def test_memory_and_time_grow_with_the_clips_of_a_step(tiny: Params) -> None:
    (_, few), (_, many) = (doctor.measure_step(tiny, CPU, size) for size in (16, 128))
    assert 2 < many / few < 8.5, "weights are kept once, clips each"


def test_facts_of_this_machine(params: Params, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)
    facts = describe_machine(params.runtime)
    assert all(facts.values())
    assert facts["precision"] == "float32"
    assert "/dev/shm" in facts["memory"] or not Path("/dev/shm").exists()
    assert facts["cores"].endswith(f"of {os.cpu_count()}") or "quota" in facts["cores"]
    monkeypatch.setenv("PATH", str(tmp_path))
    facts = describe_machine(params.runtime)
    assert facts["git"].startswith("not found")
    assert facts["DVC"].startswith("not found")
