"""Tables of made-up collections, as `mofore embed` writes them."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from mofore.collection.table import GRID, VIDEO, WINDOW, Recipe, make_part, write_table

RECIPE = Recipe(encoder="shipped", encoder_hash="0123", window=2.0, step=1.0, clip={"frames": 8, "stride": 3})


def write_collection(
    path: Path,
    files: Sequence[str],
    x_VD: npt.NDArray[np.float32],
    windows: int = 0,
    recipe: Recipe = RECIPE,
    unreadable: Sequence[str] = (),
    spread: float = 0.1,
) -> None:
    """Write a table of some files: the vector of each, and of its windows, which differ from it by `spread`."""
    rng = np.random.default_rng(0)
    dim = x_VD.shape[1]
    parts = []
    for file, x_D in zip(files, x_VD, strict=True):
        x_ND = np.concatenate([x_D[None], x_D + spread * rng.standard_normal((windows, dim))]).astype(np.float32)
        only_video = [None] * windows
        rows: dict[str, list[Any]] = {
            "file": [file] * (1 + windows),
            "kind": [VIDEO] + [WINDOW] * windows,
            "start_s": [0.0, *map(float, range(windows))],
            "end_s": [float(windows + 1), *(float(number + 2) for number in range(windows))],
            "motion": [5.0] * (1 + windows),
            "contrast": [40.0] * (1 + windows),
            "picture": [picture(sum(file.encode()) % 256)] * (1 + windows),
            "frames": [25 * (windows + 1), *only_video],
            "fps": [25.0, *only_video],
            "width": [320, *only_video],
            "height": [240, *only_video],
            "status": ["ok", *only_video],
            "reason": ["", *only_video],
            "size": [1000, *only_video],
            "modified": [1, *only_video],
        }
        cells: list[npt.NDArray[np.float32] | None] = [np.tile(x_D, GRID**2).astype(np.float32), *only_video]
        parts.append(make_part(rows, x_ND, cells))
    for file in unreadable:
        rows = {
            "file": [file], "kind": [VIDEO], "start_s": [0.0], "end_s": [0.0], "motion": [None], "contrast": [None],
            "picture": [None], "frames": [0], "fps": [0.0], "width": [0], "height": [0], "status": ["unreadable"],
            "reason": ["not a video"], "size": [10], "modified": [1],
        }  # fmt: skip
        parts.append(make_part(rows, None, [None]))
    write_table(path, recipe, parts)


def picture(gray: int) -> bytes:
    """A JPEG of one gray level, 64x48."""
    out = io.BytesIO()
    Image.new("RGB", (64, 48), (gray, gray, gray)).save(out, "JPEG")
    return out.getvalue()
