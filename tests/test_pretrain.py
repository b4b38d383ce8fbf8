"""The training loop: it learns, repeats itself exactly, and says what it cannot do."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mofore.config import Params
from mofore.encoder import build_encoder
from mofore.errors import UserError
from mofore.model import MoFore
from mofore.packed import PackedVideos
from mofore.pairs import Pair
from mofore.pretrain import adamw, leave_out_short, pretrain, train_step

Packer = Callable[..., Path]


@pytest.fixture
def tiny(params: Params) -> Params:
    params.clip.frames, params.clip.stride, params.clip.size = 4, 1, 16
    params.pretrain.batch_size, params.pretrain.epochs = 4, 3
    params.forecast.projection, params.forecast.hidden, params.forecast.gap_max = 8, 16, 6
    return params


def batch(seed: int = 0) -> Pair:
    generator = torch.Generator().manual_seed(seed)
    frames = torch.randint(0, 256, (2, 8, 5, 16, 16, 3), dtype=torch.uint8, generator=generator)
    colour = torch.eye(3, 4).expand(8, 3, 4)
    return Pair(frames[0], frames[1], colour, colour, torch.arange(8), torch.arange(8))


def test_a_step_lowers_the_loss_on_its_own_batch(tiny: Params) -> None:
    torch.manual_seed(0)
    model = MoFore(build_encoder("small", 0), 8, 16)
    optimizer = adamw(model, 1e-3, 0.0)
    losses = [float(train_step(model, optimizer, batch(), tiny, momentum=0.99).loss) for _ in range(15)]
    assert losses[-1] < 0.7 * losses[0]


def test_the_loss_is_the_weighted_sum(tiny: Params) -> None:
    tiny.forecast.weight, tiny.contrast.weight, tiny.decorrelation.weight = 0.5, 2.0, 0.3
    model = MoFore(build_encoder("small", 0), 8, 16)
    step = train_step(model, adamw(model, 1e-3, 0.0), batch(), tiny, momentum=0.99)
    expected = 0.5 * step.forecast_loss + 2 * step.contrast_loss + 0.3 * step.decorrelation_loss
    assert float(step.loss) == pytest.approx(float(expected), rel=1e-5)


def test_two_runs_are_the_same_bit_for_bit(pack: Packer, tiny: Params) -> None:
    folder = pack([20] * 9, texture=True)
    runs = []
    for workers in (0, 2):
        tiny.runtime.workers = workers
        runs.append(pretrain(tiny, PackedVideos(folder)))
    a, b = (run.model.state_dict() for run in runs)
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert runs[0].log.equals(runs[1].log)


def test_the_log_has_a_row_an_epoch(pack: Packer, tiny: Params) -> None:
    log = pretrain(tiny, PackedVideos(pack([20] * 9, texture=True))).log
    assert log.columns.tolist() == [
        *("epoch", "loss", "forecast_loss", "contrast_loss", "decorrelation_loss", "picked"),
        *("effective_rank", "spread", "alignment", "uniformity", "gap", "lr", "momentum"),
    ]
    assert log.epoch.tolist() == [1, 2, 3]
    assert log.momentum.iloc[-1] == tiny.momentum.end
    assert log.lr.iloc[-1] == pytest.approx(0, abs=1e-12)
    assert log.gap.between(0, 6).all()


def test_biases_and_norms_are_not_decayed(tiny: Params) -> None:
    model = MoFore(build_encoder("small", 0), 8, 16)
    decayed, free = adamw(model, 1e-3, 0.1).param_groups
    assert decayed["weight_decay"] == 0.1
    assert all(p.ndim > 1 for p in decayed["params"])
    assert free["weight_decay"] == 0
    assert all(p.ndim == 1 for p in free["params"])
    n_trained = sum(1 for p in model.parameters() if p.requires_grad)
    assert len(decayed["params"]) + len(free["params"]) == n_trained


def test_short_videos_are_left_out_and_named(pack: Packer, tiny: Params) -> None:
    videos = PackedVideos(pack([20, 9, 10]))
    left_out = leave_out_short(videos, tiny)
    assert left_out[["video", "frames"]].values.tolist() == [["class1/v1.avi", 9]]
    assert "shorter than 10 frames" in left_out.reason.iloc[0]
    assert len(videos) == 2


def test_clips_longer_than_any_video_are_an_error(pack: Packer, tiny: Params) -> None:
    with pytest.raises(UserError, match="need 10 frames, but the longest video has 9"):
        leave_out_short(PackedVideos(pack([9, 8])), tiny)


def test_fewer_videos_than_a_batch_is_an_error(pack: Packer, tiny: Params) -> None:
    with pytest.raises(UserError, match=r"pretrain.batch_size is 4, but only 3 training videos"):
        pretrain(tiny, PackedVideos(pack([20, 20, 20])))


def test_a_loss_that_explodes_stops_the_run(pack: Packer, tiny: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mofore.pretrain.forecasting_loss", lambda f, t: f.sum() * float("nan"))
    with pytest.raises(UserError, match="the loss is nan in epoch 1"):
        pretrain(tiny, PackedVideos(pack([20] * 5)))


def test_a_device_that_is_not_there_is_said(pack: Packer, tiny: Params) -> None:
    tiny.runtime.device = "cuda:7"
    with pytest.raises(UserError, match=r"runtime.device 'cuda:7' is not on this machine"):
        pretrain(tiny, PackedVideos(pack([20] * 5)))
