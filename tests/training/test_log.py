"""The log: means over an epoch, diagnostics of the last embeddings, and the same rows after a restore."""

import io

import pytest
import torch

from mofore.embedding.geometry import alignment, effective_rank, spread, uniformity
from mofore.training.log import HEALTH_SAMPLES, StepLog, TrainingLog

DIM = 8
SCALARS = ("loss", "contrast_loss", "gap")


def steps(count: int, batch_size: int) -> list[StepLog]:
    generator = torch.Generator().manual_seed(count)
    return [
        StepLog(
            dict(zip(SCALARS, torch.rand(len(SCALARS), generator=generator), strict=True)),
            torch.randn(batch_size, DIM, generator=generator),
            torch.randn(batch_size, DIM, generator=generator),
        )
        for _ in range(count)
    ]


def log_of(step_logs: list[StepLog], batch_size: int) -> TrainingLog:
    log = TrainingLog(batch_size)
    for step in step_logs:
        log.add(step)
    return log


def test_a_row_is_the_mean_over_the_steps_of_its_epoch() -> None:
    log, step_logs = TrainingLog(4), steps(7, 4)
    for epoch in (step_logs[:5], step_logs[5:]):
        for step in epoch:
            log.add(step)
        row = log.end_epoch()
        for name in SCALARS:
            expected = sum(float(step.scalars[name]) for step in epoch) / len(epoch)
            assert row[name] == pytest.approx(expected, rel=1e-5), name


def test_the_loss_is_that_of_the_last_step() -> None:
    log, step_logs = TrainingLog(4), steps(3, 4)
    assert log.loss == 0
    for step in step_logs:
        log.add(step)
        assert log.loss == float(step.scalars["loss"])
    log.end_epoch()
    assert log.loss == 0


@pytest.mark.parametrize(("batch_size", "n_steps"), [(HEALTH_SAMPLES // 3, 3), (600, 1), (HEALTH_SAMPLES + 1, 1)])
def test_health_is_of_the_last_embeddings_across_epochs(batch_size: int, n_steps: int) -> None:
    step_logs = steps(5, batch_size)
    log = log_of(step_logs[:-1], batch_size)
    log.end_epoch()
    log.add(step_logs[-1])
    forecast = torch.cat([step.forecast_NP for step in step_logs[-n_steps:]]).numpy()
    target = torch.cat([step.target_NP for step in step_logs[-n_steps:]]).numpy()
    assert log.samples == n_steps * batch_size
    assert log.health() == {
        "effective_rank": effective_rank(target),
        "spread": spread(target),
        "alignment": alignment(forecast, target),
        "uniformity": uniformity(target),
    }
    row = log.end_epoch()
    assert {name: row[name] for name in row if name not in SCALARS} == log.health()


def test_embeddings_in_bf16_are_measured_in_float32() -> None:
    step = steps(1, 16)[0]
    low, high = TrainingLog(16), TrainingLog(16)
    low.add(StepLog(step.scalars, step.forecast_NP.bfloat16(), step.target_NP.bfloat16()))
    high.add(StepLog(step.scalars, step.forecast_NP.bfloat16().float(), step.target_NP.bfloat16().float()))
    assert low.health() == high.health()


@pytest.mark.parametrize("ended", [True, False])
@pytest.mark.parametrize(("before", "after"), [(1, 1), (2, 5), (6, 1)])
def test_a_restored_log_continues_as_the_saved_one(before: int, after: int, ended: bool) -> None:
    size = HEALTH_SAMPLES // 4
    step_logs = steps(before + after, size)
    log = log_of(step_logs[:before], size)
    if ended:
        log.end_epoch()
    file = io.BytesIO()
    torch.save(log.state(), file)
    file.seek(0)
    restored = TrainingLog(size)
    restored.restore(torch.load(file, weights_only=True))
    assert (restored.loss, restored.samples) == (log.loss, log.samples)
    for step in step_logs[before:]:
        log.add(step)
        restored.add(step)
    assert restored.end_epoch() == log.end_epoch()
