"""Whether the gap matters is found out, on made-up embeddings in which it does and in which it does not.

Shapes: V videos, K clips of each, D dimensions.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from mofore.embedding.store import write_embeddings
from tests.helpers.clip_files import write_clip_embeddings

ROOT = Path(__file__).parents[2]
V, K, D = 120, 8, 8
STEP = 30  # video frames from one clip to the next


def write(folder: Path, x_VKD: npt.NDArray[np.float64]) -> None:
    table = pd.DataFrame({"video": [f"v{v:03d}" for v in range(V)], "label": ""})
    table = table.assign(group=[f"g{v // 3:02d}" for v in range(V)], split="train")
    starts_VK = np.tile(np.arange(K) * STEP, (V, 1))
    write_embeddings(folder / "mofore.parquet", table, x_VKD.mean(axis=1).astype(np.float32))
    write_clip_embeddings(folder / "mofore_clips.parquet", table, starts_VK, x_VKD.astype(np.float32))


def measure(folder: Path, *more: str) -> dict[str, Any]:
    command = [sys.executable, str(ROOT / "benchmarks/gap.py"), "--embeddings", str(folder), *more]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
@pytest.mark.parametrize("gap_max", ["48", "442"])
def test_nothing_is_gained_or_lost_where_the_gap_does_not_matter(gap_max: str, tmp_path: Path) -> None:
    """Half of the dimensions stay as they are, half change at random, so the best forecast is the same for all gaps."""
    rng = np.random.default_rng(0)
    stays_D = np.arange(D) < D / 2
    write(tmp_path, stays_D * rng.normal(size=(V, 1, D)) + (1 - 0.7 * stays_D) * rng.normal(size=(V, K, D)))
    found = measure(tmp_path, "--gap-max", gap_max)
    assert found["skill of one"][1] > 0
    for name in ("gain of told", "gain of bins"):
        gain, low, _ = found[name]
        assert abs(gain) < 0.005
        assert low < 0.002


@pytest.mark.slow
def test_the_gap_is_used_where_it_matters(tmp_path: Path) -> None:
    """Embeddings turn at the same speed in all videos, so where they will be depends on the gap."""
    rng = np.random.default_rng(0)
    angle_VK = rng.uniform(0, 2 * np.pi, (V, 1)) + np.arange(K) * STEP / 80
    x_VKD = 0.2 * rng.normal(size=(V, K, D))
    x_VKD[..., 0] += np.cos(angle_VK)
    x_VKD[..., 1] += np.sin(angle_VK)
    write(tmp_path, x_VKD)
    found = measure(tmp_path, "--gap-max", "150")
    for name in ("gain of told", "gain of bins"):
        assert found[name][1] > 0.05


@pytest.mark.slow
def test_pairs_are_at_most_as_far_apart_as_in_training(tmp_path: Path) -> None:
    write(tmp_path, np.random.default_rng(0).normal(size=(V, K, D)))
    assert measure(tmp_path)["pairs"] == V * (K - 1 + K - 2), "one and two steps, with gaps of 8 and 38 frames"
