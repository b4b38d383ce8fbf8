"""The pretraining loop: reproducible, also when resumed; its log; its errors."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mofore.clips.dataset import ForecastDataset, Sample
from mofore.config import Params
from mofore.errors import StoppedError, UserError
from mofore.frames.store import FrameStore
from mofore.method.shipped import shipped_encoder, whole_encoder
from mofore.runtime.distributed import Processes
from mofore.training.checkpoint import Checkpoint
from mofore.training.log import StepLog
from mofore.training.pretrain import epochs_of, leave_out_short, pretrain
from mofore.training.step import TrainState, train_step

Packer = Callable[..., Path]

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.slow
def test_two_runs_are_the_same_bit_for_bit(pack: Packer, tiny: Params) -> None:
    folder = pack([20] * 9, texture=True)
    runs = []
    for workers, cache in ((0, 1.0), (2, 0)):
        tiny.runtime.workers, tiny.runtime.cache = workers, cache
        runs.append(pretrain(tiny, FrameStore(folder)))
    a, b = (run.model.state_dict() for run in runs)
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert runs[0].log.equals(runs[1].log)


@pytest.mark.slow
@pytest.mark.parametrize("streams", ["motion", "both"])
def test_the_streams_that_are_trained_start_as_shipped_and_learn(pack: Packer, tiny: Params, streams: str) -> None:
    tiny.clip.input, tiny.encoder.start, tiny.pretrain.streams = "two_stream", "shipped", streams
    trained = pretrain(tiny, FrameStore(pack([20] * 9, texture=True))).model
    assert trained.streams == (1 if streams == "motion" else 2)
    whole, shipped = (
        encoder.state_dict()
        for encoder in (whole_encoder(trained.encoder, "two_stream"), shipped_encoder("two_stream"))
    )
    assert whole.keys() == shipped.keys()
    changed = {key.split(".")[1] for key in shipped if not torch.equal(whole[key], shipped[key])}
    assert changed == ({"0"} if streams == "motion" else {"0", "1"})


@pytest.mark.slow
def test_a_stream_is_trained_alone_as_an_encoder_of_one_stream(pack: Packer, tiny: Params) -> None:
    folder = pack([20] * 9, texture=True)
    tiny.encoder.start, tiny.clip.input = "shipped", "two_stream"
    of_two = pretrain(tiny, FrameStore(folder))
    tiny.clip.input = "residual"
    alone = pretrain(tiny, FrameStore(folder))
    assert of_two.log.equals(alone.log)
    a, b = of_two.model.state_dict(), alone.model.state_dict()
    assert all(torch.equal(a[key], b[key]) for key in a | b)


@pytest.mark.slow
def test_processes_share_the_cache_size(pack: Packer, tiny: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    cache_bytes: list[float] = []

    class RecordedDataset(ForecastDataset):
        def __init__(self, *args: Any) -> None:
            cache_bytes.append(args[-1])
            super().__init__(*args)

    monkeypatch.setattr("mofore.training.pretrain.ForecastDataset", RecordedDataset)
    tiny.runtime.workers, tiny.runtime.cache, tiny.pretrain.epochs = 2, 0.5, 1
    folder = pack([20] * 5, texture=True)
    pretrain(tiny, FrameStore(folder))
    pretrain(tiny, FrameStore(folder), Processes(local_count=4))
    assert cache_bytes == [0.25e9, 0.0625e9]


@pytest.mark.parametrize(
    ("epochs", "min_steps", "videos", "expected"),
    [(3, 0, 9, 3), (3, 6, 9, 3), (3, 7, 9, 4), (3, 100, 9, 50), (3, 100, 400, 3), (1, 5, 4, 5)],
)
def test_few_videos_get_more_epochs(tiny: Params, epochs: int, min_steps: int, videos: int, expected: int) -> None:
    tiny.pretrain.epochs, tiny.pretrain.min_steps = epochs, min_steps
    assert epochs_of(tiny.pretrain, videos) == expected


def test_a_run_takes_its_minimum_of_steps(pack: Packer, tiny: Params) -> None:
    tiny.pretrain.min_steps = 9
    log = pretrain(tiny, FrameStore(pack([20] * 9, texture=True))).log
    assert log.epoch.tolist() == [1, 2, 3, 4, 5]
    assert log.lr.iloc[-1] == 0, "schedules end with the last step"


def test_the_log_has_one_row_per_epoch(pack: Packer, tiny: Params) -> None:
    tiny.pretrain.knn_every = 2
    log = pretrain(tiny, FrameStore(pack([20] * 9, texture=True))).log
    assert log.columns.tolist() == [
        *("epoch", "loss", "forecast_loss", "contrast_loss", "decorrelation_loss", "contrastive_accuracy", "gap"),
        *("effective_rank", "spread", "alignment", "uniformity", "lr", "momentum", "knn"),
    ]
    assert log.epoch.tolist() == [1, 2, 3]
    assert log.momentum.iloc[-1] == tiny.momentum.end
    assert log.lr.iloc[-1] == pytest.approx(0, abs=1e-12)
    assert log.gap.between(0, 6).all()
    assert log.knn.notna().tolist() == [False, True, True], "every second epoch and the last"
    assert log.knn.dropna().between(0, 1).all()


def test_there_is_no_knn_without_labels_or_with_knn_every_0(pack: Packer, tiny: Params) -> None:
    videos = FrameStore(pack([20] * 5, texture=True))
    tiny.pretrain.epochs, tiny.pretrain.knn_every = 1, 0
    assert "knn" not in pretrain(tiny, videos).log
    tiny.pretrain.knn_every, videos.table["label"] = 1, ""
    assert "knn" not in pretrain(tiny, videos).log


@pytest.mark.parametrize("stop_at", [1, 4])
def test_a_stopped_run_resumes_with_the_same_result(
    pack: Packer, tiny: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_at: int
) -> None:
    videos = FrameStore(pack([20] * 9, texture=True))
    wanted = pretrain(tiny, videos)
    steps = []

    def stopping(state: TrainState, batch: Sample, params: Params, momentum: float) -> StepLog:
        steps.append(momentum)
        if len(steps) == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        return train_step(state, batch, params, momentum)

    monkeypatch.setattr("mofore.training.pretrain.train_step", stopping)
    message = f"stopped by SIGTERM after step {stop_at} of 6: saved, run the same command to resume"
    with pytest.raises(StoppedError, match=message):
        pretrain(tiny, videos, checkpoint=Checkpoint(tmp_path, every=1e9))
    found = pretrain(tiny, videos, checkpoint=Checkpoint(tmp_path, every=1e9))
    assert len(steps) == 6
    assert found.log.equals(wanted.log)
    a, b = found.model.state_dict(), wanted.model.state_dict()
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert pretrain(tiny, videos, checkpoint=Checkpoint(tmp_path, every=1e9)).log.equals(wanted.log)
    assert len(steps) == 6, "no steps are left"


def test_short_videos_are_left_out_and_listed(pack: Packer, tiny: Params) -> None:
    videos = FrameStore(pack([20, 9, 10]))
    left_out = leave_out_short(videos, tiny)
    assert left_out[["video", "frames"]].values.tolist() == [["class1/v1.avi", 9]]
    assert "shorter than 10 frames" in left_out.reason.iloc[0]
    assert len(videos) == 2


def test_clips_longer_than_any_video_are_an_error(pack: Packer, tiny: Params) -> None:
    with pytest.raises(UserError, match="need 10 frames, but the longest video has 9"):
        leave_out_short(FrameStore(pack([9, 8])), tiny)


def test_too_few_videos_for_any_batch_are_an_error(pack: Packer, tiny: Params) -> None:
    with pytest.raises(UserError, match=r"only 3 training videos are usable, but training needs 4: add videos"):
        pretrain(tiny, FrameStore(pack([20, 20, 20])))


def test_fewer_videos_than_a_batch_is_an_error(pack: Packer, tiny: Params) -> None:
    tiny.pretrain.batch_size = 6
    with pytest.raises(UserError, match=r"batch_size is 6, but only 5 training videos .* lower it to at most 5"):
        pretrain(tiny, FrameStore(pack([20] * 5)))


def test_a_batch_size_that_is_no_multiple_of_the_processes_is_an_error(pack: Packer, tiny: Params) -> None:
    with pytest.raises(UserError, match=r"batch_size is 4, but must be a multiple of the 3 processes"):
        pretrain(tiny, FrameStore(pack([20] * 5)), Processes(0, 3))


def test_a_loss_that_is_nan_stops_the_run(pack: Packer, tiny: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mofore.method.objective.forecasting_loss", lambda f, t: f.sum() * float("nan"))
    with pytest.raises(UserError, match="the loss is nan after step 1 of 3"):
        pretrain(tiny, FrameStore(pack([20] * 5)))


def test_a_missing_device_is_an_error(pack: Packer, tiny: Params) -> None:
    tiny.runtime.device = "cuda:7"
    with pytest.raises(UserError, match=r"runtime.device 'cuda:7' is not on this machine"):
        pretrain(tiny, FrameStore(pack([20] * 5)))
