"""Cuts tables anew into groups of the same number of rows."""

from collections.abc import Iterable, Iterator

import pyarrow as pa


def regrouped(parts: Iterable[pa.Table], size: int) -> Iterator[pa.Table]:
    """The same rows in tables of `size` rows, each of one chunk; the last may have fewer.

    Only the rows of one group are copied, so the memory does not depend on the lengths of the parts, which may be
    files mapped into memory.
    """
    waiting: list[pa.Table] = []
    missing = size
    for part in parts:
        start = 0
        while start < len(part):
            block = part.slice(start, missing)
            waiting.append(block)
            start, missing = start + len(block), missing - len(block)
            if not missing:
                yield pa.concat_tables(waiting).combine_chunks()
                waiting, missing = [], size
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()
