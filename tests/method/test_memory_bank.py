"""The memory bank keeps the most recent targets with their groups, oldest first, as candidates."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mofore.method.memory_bank import MemoryBank

CPU = torch.device("cpu")
P = 3


def batch(rows: range) -> tuple[Tensor, Tensor]:
    """Targets whose values are their row number, and groups of two rows each."""
    number_N = torch.arange(rows.start, rows.stop)
    return number_N[:, None].float().expand(-1, P), number_N // 2


def filled(size: int, batch_sizes: list[int]) -> MemoryBank:
    """A bank after batches of these sizes; their rows are numbered consecutively, from 0."""
    bank, first = MemoryBank(size, P, CPU), 0
    for batch_size in batch_sizes:
        bank.enqueue(*batch(range(first, first + batch_size)))
        first += batch_size
    return bank


def test_a_new_bank_is_empty() -> None:
    bank = MemoryBank(8, P, CPU)
    assert bank.target_QP.shape == (0, P)
    assert bank.target_QP.dtype == torch.float32
    assert bank.group_Q.shape == (0,)
    assert bank.group_Q.dtype == torch.int64


@given(size=st.integers(0, 12), batch_sizes=st.lists(st.integers(1, 7), max_size=6))
def test_the_bank_holds_the_last_targets_and_their_groups(size: int, batch_sizes: list[int]) -> None:
    bank = filled(size, batch_sizes)
    numbers = list(range(sum(batch_sizes)))
    kept = numbers[max(0, len(numbers) - size) :]
    assert bank.target_QP.tolist() == [[float(number)] * P for number in kept]
    assert bank.group_Q.tolist() == [number // 2 for number in kept]


@given(size=st.integers(0, 12), batch_sizes=st.lists(st.integers(1, 7), max_size=6), n=st.integers(1, 5))
def test_candidates_are_the_batch_then_the_bank(size: int, batch_sizes: list[int], n: int) -> None:
    bank = filled(size, batch_sizes)
    target_NP, group_N = batch(range(100, 100 + n))
    candidate_MP, group_M = bank.candidates(target_NP, group_N)
    assert candidate_MP[:n].tolist() == target_NP.tolist()
    assert group_M[:n].tolist() == group_N.tolist()
    assert torch.equal(candidate_MP[n:], bank.target_QP)
    assert torch.equal(group_M[n:], bank.group_Q)


def test_candidates_are_not_added_to_the_bank() -> None:
    bank = filled(8, [4])
    bank.candidates(*batch(range(100, 103)))
    assert bank.target_QP[:, 0].tolist() == [0, 1, 2, 3]


def test_targets_of_lower_precision_are_kept_in_float32() -> None:
    bank, (target_NP, group_N) = MemoryBank(8, P, CPU), batch(range(4))
    assert bank.candidates(target_NP.bfloat16(), group_N)[0].dtype == torch.float32
    bank.enqueue(target_NP.bfloat16(), group_N)
    assert bank.target_QP.dtype == torch.float32


def test_later_changes_of_the_batch_do_not_change_the_bank() -> None:
    bank, (target_NP, group_N) = MemoryBank(8, P, CPU), batch(range(4))
    target_NP = target_NP.clone()
    bank.enqueue(target_NP, group_N)
    target_NP.zero_()
    group_N.zero_()
    assert bank.target_QP[:, 0].tolist() == [0, 1, 2, 3]
    assert bank.group_Q.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("batch_sizes", [[], [3], [5, 5, 5]])
def test_a_restored_bank_continues_as_the_saved_one(batch_sizes: list[int]) -> None:
    saved, restored = filled(8, batch_sizes), MemoryBank(8, P, CPU)
    restored.restore(saved.state())
    for bank in (saved, restored):
        bank.enqueue(*batch(range(100, 104)))
    assert saved.state().keys() == restored.state().keys()
    assert all(torch.equal(value, restored.state()[name]) for name, value in saved.state().items())
