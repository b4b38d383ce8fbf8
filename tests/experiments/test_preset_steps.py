"""Presets for larger networks train: real networks, real shapes of clips, and the loader, in two steps on a CPU.

Shapes: N forecasts, B contexts, P projection dimensions.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mofore.clips.dataset import EpochSampler, ForecastDataset
from mofore.clips.loader import load_batches
from mofore.clips.transfer import to_device
from mofore.experiments.presets import preset_params
from mofore.frames.store import FrameStore
from mofore.runtime.distributed import SINGLE
from mofore.training.pretrain import leave_out_short
from mofore.training.step import make_train_state, train_step

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
STEPS = 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "overrides", "batch", "stored", "clip", "projection_dim"),
    [  # stored: width and height of the frames that `frames.short_side` makes of 320x240; clip: frames, height, width
        ("ucf101", [], 4, (171, 128), (17, 112, 112), 256),  # residual input takes one frame more
        ("paper", ["encoder.name=resnet18"], 8, (85, 64), (8, 56, 56), 512),  # no projector: the features of resnet18
    ],
)
def test_two_steps_train_the_network_of_a_preset(
    name: str,
    overrides: list[str],
    batch: int,
    stored: tuple[int, int],
    clip: tuple[int, int, int],
    projection_dim: int,
    pack: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All values are the preset's, but the batch is small."""
    monkeypatch.chdir(ROOT)  # presets lie in the working directory
    params = preset_params(name, [*overrides, f"pretrain.batch_size={batch}"], Path("params.yaml"))
    params.runtime.device, params.runtime.workers, params.runtime.compile = "cpu", 0, False
    width, height = stored
    assert params.frames.short_side == height
    videos = FrameStore(pack([120] * batch, height=height, width=width, texture=True))
    leave_out_short(videos, params)
    dataset = ForecastDataset(videos, params.clip, params.forecast, params.augment, params.seed)
    state = make_train_state(params, CPU, SINGLE)

    steps = 0
    for samples in load_batches(dataset, EpochSampler(len(videos), batch, STEPS, params.seed), 0, CPU):
        assert samples.context_THWC.shape == (batch, *clip, 3)
        assert samples.future_FTHWC.shape == (batch, 1, *clip, 3)
        online = [p.clone() for p in state.model.online.parameters()]
        ema = [p.clone() for p in state.model.ema.parameters()]
        step = train_step(state, to_device(samples, CPU), params, params.momentum.start)
        steps += 1
        assert all(value.isfinite().all() for value in step.scalars.values())
        assert step.forecast_NP.shape == step.target_NP.shape == (batch, projection_dim)
        assert step.forecast_NP.isfinite().all()
        assert step.target_NP.isfinite().all()
        moved = [not torch.equal(new, old) for new, old in zip(state.model.online.parameters(), online, strict=True)]
        assert all(moved), "every weight gets a gradient"
        assert all(p.isfinite().all() for p in state.model.parameters())
        for old, new, p in zip(ema, state.model.ema.parameters(), state.model.online.parameters(), strict=True):
            torch.testing.assert_close(new, old.lerp(p, 1 - params.momentum.start), rtol=1e-5, atol=1e-7)
    assert steps == STEPS
