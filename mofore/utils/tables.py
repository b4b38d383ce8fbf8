"""Reads CSV tables. Text columns are kept as they are: a class may be called NA or 1."""

from pathlib import Path

import pandas as pd

from mofore.errors import UserError

TEXT = {  # names of the text columns in the tables of `results/`
    *("video", "label", "group", "split", "actual", "predicted"),
    *("series", "encoder", "row", "trained"),
}


def read_table(path: Path, text: set[str] = TEXT) -> pd.DataFrame:
    """Read a CSV file.

    Args:
        path: the file.
        text: columns to keep as text. All others are converted to floats, and their empty cells to NaN.

    Raises:
        UserError: the file does not exist.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file: run `dvc repro`")
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    numbers = [str(column) for column in table if column not in text]
    table[numbers] = table[numbers].replace("", "nan").astype(float)
    return table
