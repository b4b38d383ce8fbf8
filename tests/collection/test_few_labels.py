"""What is expected of labels, and the calibration of their probabilities."""

import numpy as np
import pytest

from mofore.collection.few_labels import accuracy_interval, calibration_error, fit_temperature, softmax


def test_the_interval_ends_where_the_share_would_be_unlikely() -> None:
    """Wilson's definition: at both ends, the share lies t standard errors away."""
    hit_N = np.array([1, 1, 1, 0] * 10, bool)
    mean, low, high = accuracy_interval(hit_N, np.arange(40).astype(str), folds=10)
    assert mean == 0.75
    count = 39 / (1 + 10 / 9)  # of independent videos: n - 1 for the unbiased variance
    for end in (low, high):
        assert abs(mean - end) == pytest.approx(2.0227 * np.sqrt(end * (1 - end) / count), rel=1e-3)


def test_videos_of_a_group_that_agree_widen_the_interval() -> None:
    hit_N = np.repeat(np.array([1, 1, 1, 0] * 5, bool), 4)
    alone = accuracy_interval(hit_N, np.arange(80).astype(str), folds=10)
    together = accuracy_interval(hit_N, np.repeat(np.arange(20), 4).astype(str), folds=10)
    assert together[1] < alone[1] < alone[2] < together[2]
    assert accuracy_interval(hit_N, np.zeros(80).astype(str), folds=2)[1:] == (0, 1)


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_what_made_probabilities_wrong(true_temperature: float) -> None:
    rng = np.random.default_rng(0)
    log_NC = np.log(rng.dirichlet(np.ones(4), 4000))
    class_N = np.array([rng.choice(4, p=one) for one in softmax(log_NC)])
    assert fit_temperature(true_temperature * log_NC, class_N) == pytest.approx(true_temperature, rel=0.1)


def test_calibration_error_is_the_distance_between_probability_and_hits() -> None:
    rng = np.random.default_rng(0)
    probability_N = rng.uniform(0.3, 1, 5000)
    assert calibration_error(probability_N, rng.random(5000) < probability_N) < 0.03
    assert calibration_error(np.full(1000, 0.9), np.arange(1000) % 2 == 0) == pytest.approx(0.4, abs=0.01)
