"""Read tables whose text comes from outside: a class may be called NA, or 1."""

from pathlib import Path

import pandas as pd

from mofore.errors import UserError

TEXT = {  # columns of words, in any of `results/`
    *("video", "label", "group", "split", "actual", "predicted"),
    *("series", "encoder", "row", "trained"),
}


def read_table(path: Path, text: set[str] = TEXT) -> pd.DataFrame:
    """A CSV file; columns not named in `text` are numbers, and what is empty in them is NaN.

    Raises:
        UserError: there is no such file.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file: run `dvc repro`")
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    numbers = [str(column) for column in table if column not in text]
    table[numbers] = table[numbers].replace("", "nan").astype(float)
    return table
