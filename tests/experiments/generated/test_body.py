"""Articulated bodies: limbs keep their lengths and stay attached."""

import numpy as np
import pytest

from mofore.experiments.generated.body import Segment, animate, random_body, segment_ends
from mofore.experiments.generated.waves import Event

TIME_T = np.linspace(0, 4, 9)


@pytest.mark.parametrize("seed", range(20))
def test_limbs_keep_their_lengths_and_stay_attached(seed: int) -> None:
    rng = np.random.default_rng(seed)
    body = animate(rng, random_body(rng), 4.0)
    start_ST3, end_ST3 = segment_ends(body, TIME_T)
    lengths_ST = np.linalg.norm(end_ST3 - start_ST3, axis=2)
    np.testing.assert_allclose(lengths_ST, np.tile([[s.length] for s in body], len(TIME_T)))
    for s, segment in enumerate(body[1:], start=1):
        parent = start_ST3[segment.parent], end_ST3[segment.parent]
        joint_T3 = parent[0] + segment.at * (parent[1] - parent[0])
        np.testing.assert_allclose(np.linalg.norm(start_ST3[s] - joint_T3, axis=1), abs(segment.side), atol=1e-9)


def test_a_segment_swings_forward_by_its_angle() -> None:
    swing = Event(90.0, 0.0, 1.0, 99.0)
    _, end_ST3 = segment_ends([Segment(-1, 0, 0, 2.0, 0.1, (0, 0), 0, swing)], np.array([0.0, 2.0]))
    np.testing.assert_allclose(end_ST3[0], [[0, 0, 2], [2, 0, 0]], atol=1e-9)  # up, then forward


def test_animation_moves_some_limb_of_nearly_every_body() -> None:
    moving = 0
    for seed in range(50):
        rng = np.random.default_rng(seed)
        _, end_ST3 = segment_ends(animate(rng, random_body(rng), 4.0), TIME_T)
        moving += np.ptp(end_ST3, axis=1).max() > 0.1
    assert moving >= 40  # some stand still on purpose
