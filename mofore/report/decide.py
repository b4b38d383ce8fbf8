"""The one rule by which a difference counts as clear, in the report, its pictures and the ablations.

A number is clearly above a threshold if its whole 95 % interval is above it, and clearly below if the whole interval is
below. Otherwise nothing is decided.
"""

from collections.abc import Iterable
from typing import Literal

Answer = Literal["yes", "no", "not clear", "not measured"]


def decide(low: float, high: float, threshold: float = 0) -> Answer:
    """Whether a number with the interval from `low` to `high` is above a threshold."""
    if low > threshold:
        return "yes"
    return "no" if high < threshold else "not clear"


def weakest(answers: Iterable[Answer]) -> Answer:
    """The answer that supports a claim least."""
    order: list[Answer] = ["no", "not clear", "not measured", "yes"]
    return min(answers, key=order.index)
