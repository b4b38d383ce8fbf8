"""The score of each class."""

import numpy as np

from mofore.evaluation.per_class import COLUMNS, score_classes


def test_each_class_has_its_share_and_an_interval_over_its_own_groups() -> None:
    label = np.array(["walk", "run", "run", "run", "run"])
    group = np.array(["w", "a", "a", "b", "b"])
    table = score_classes({"mofore": np.array([True, True, True, False, False])}, label, group)
    assert table.values.tolist() == [["mofore", "run", 4, 0.5, 0.0, 1.0], ["mofore", "walk", 1, 1.0, 1.0, 1.0]]


def test_nothing_to_score_is_an_empty_table() -> None:
    table = score_classes({}, np.array([], str), np.array([], str))
    assert table.columns.tolist() == COLUMNS
    assert table.empty
