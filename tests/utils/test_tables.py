"""Reading CSV tables: text columns stay text, number columns become floats."""

from pathlib import Path

import numpy as np
import pytest

from mofore.errors import UserError
from mofore.utils.tables import read_table


def test_text_stays_text_and_empty_numbers_become_nan(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('label,score\nNA,1\n1,\n"a,b",0.5\n')
    table = read_table(tmp_path / "a.csv")
    assert table.label.tolist() == ["NA", "1", "a,b"]
    assert np.array_equal(table.score, [1, np.nan, 0.5], equal_nan=True)
    assert read_table(tmp_path / "a.csv", {"label", "score"}).score.tolist() == ["1", "", "0.5"]


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"b.csv: no such file: run `dvc repro`"):
        read_table(tmp_path / "b.csv")
