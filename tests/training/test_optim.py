"""Schedules of learning rate and momentum."""

import pytest

from mofore.training.optim import cosine, learning_rate


def test_cosine_runs_from_start_to_end() -> None:
    values = [cosine(0.9, 1.0, i / 100) for i in range(101)]
    assert values[0] == pytest.approx(0.9)
    assert values[-1] == pytest.approx(1.0)
    assert values == sorted(values)


def test_learning_rate_rises_then_falls() -> None:
    values = [learning_rate(1e-3, 0.1, i / 100) for i in range(101)]
    assert values[0] == 0
    assert values[10] == max(values) == pytest.approx(1e-3)
    assert values[:11] == sorted(values[:11])
    assert values[10:] == sorted(values[10:], reverse=True)
    assert values[-1] == pytest.approx(0)


@pytest.mark.parametrize("warmup", [0.0, 1.0])
def test_learning_rate_without_warmup_or_with_warmup_only(warmup: float) -> None:
    assert all(0 <= learning_rate(1.0, warmup, i / 10) <= 1 for i in range(11))
