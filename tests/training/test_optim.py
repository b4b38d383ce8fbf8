"""Schedules of learning rate and momentum."""

from dataclasses import replace

import pytest

from mofore.config import Params
from mofore.training.optim import cosine, learning_rate


def test_cosine_runs_from_start_to_end() -> None:
    values = [cosine(0.9, 1.0, i / 100) for i in range(101)]
    assert values[0] == pytest.approx(0.9)
    assert values[-1] == pytest.approx(1.0)
    assert values == sorted(values)


def test_learning_rate_rises_then_falls(params: Params) -> None:
    pretrain = replace(params.pretrain, lr=1e-3, warmup=0.1)
    values = [learning_rate(pretrain, i / 100) for i in range(101)]
    assert values[0] == 0
    assert values[10] == max(values) == pytest.approx(1e-3)
    assert values[:11] == sorted(values[:11])
    assert values[10:] == sorted(values[10:], reverse=True)
    assert values[-1] == pytest.approx(0)


@pytest.mark.parametrize("warmup", [0.0, 1.0])
def test_learning_rate_without_warmup_or_with_warmup_only(params: Params, warmup: float) -> None:
    pretrain = replace(params.pretrain, lr=1.0, warmup=warmup)
    assert all(0 <= learning_rate(pretrain, i / 10) <= 1 for i in range(11))


def test_a_constant_schedule_stays_after_the_warmup(params: Params) -> None:
    pretrain = replace(params.pretrain, lr=1e-4, warmup=0.1, schedule="constant")
    assert learning_rate(pretrain, 0.05) == pytest.approx(0.5e-4)
    assert {learning_rate(pretrain, i / 10) for i in range(1, 11)} == {1e-4}
