"""Videos of two classes that a small network tells apart after a few steps."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd


def two_easy_classes(pack: Callable[..., Path]) -> Path:
    """A folder of 24 textured videos: in every third only the brightness changes, in the others the texture moves.

    Args:
        pack: the fixture.
    """
    folder = pack([30] * 24, texture=True)
    table = pd.read_csv(folder / "videos.csv")
    table["label"] = np.where(np.arange(24) % 3 == 0, "still", "moving")
    table.to_csv(folder / "videos.csv", index=False)
    return folder
