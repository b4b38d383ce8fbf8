"""Rows in groups of one size: the same as at once, in the memory of a group."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mofore.collection.regroup import regrouped


@given(st.lists(st.integers(0, 9), max_size=9), st.integers(1, 5))
def test_the_rows_are_the_same_in_groups_of_one_size(lengths: list[int], size: int) -> None:
    ends = np.cumsum([0, *lengths]).tolist()
    parts = [pa.table({"x": pa.array(range(start, end), pa.int64())}) for start, end in pairwise(ends)]
    groups = list(regrouped(parts, size))
    assert [x for group in groups for x in group["x"].to_pylist()] == list(range(ends[-1]))
    assert all(len(group) == size for group in groups[:-1])
    assert all(0 < len(group) <= size and group["x"].num_chunks == 1 for group in groups)


def test_a_long_part_is_not_copied_as_a_whole(tmp_path: Path) -> None:
    rows = pa.table({"picture": pa.array([bytes(2000)] * 20_000)})  # 40 MB
    with pa.OSFile(str(tmp_path / "part"), "wb") as out, pa.ipc.new_stream(out, rows.schema) as writer:
        writer.write_table(rows, max_chunksize=100)
    del rows
    with pa.memory_map(str(tmp_path / "part")) as source:
        part = pa.ipc.open_stream(source).read_all()
        before, most = pa.total_allocated_bytes(), 0
        for group in regrouped([part], 1000):
            most = max(most, pa.total_allocated_bytes() - before)
            del group
    assert most == pytest.approx(2e6, rel=0.5), "one group"
