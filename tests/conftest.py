"""A folder of packed frames, made without the code under test."""

import mofore.runtime.openmp  # noqa: F401 # first, before anything that loads torch

# isort: split
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import settings

from mofore.config import Params, load_params

ROOT = Path(__file__).parents[1]
Packer = Callable[..., Path]
# On a busy machine, slow is not wrong. The same examples everywhere: what fails in one place fails in the others, too.
settings.register_profile("any machine", deadline=None, derandomize=True)
settings.load_profile("any machine")


@pytest.fixture
def params() -> Params:
    """params.yaml of the project, with plain embeddings by one random stream, and a machine section that is quick."""
    loaded = load_params(ROOT / "params.yaml")
    loaded.clip.input, loaded.encoder.start, loaded.embed.grid = "residual", "random", 0
    loaded.encoder.keep = "online"
    loaded.embed.spread, loaded.embed.standardise = 0, False
    loaded.runtime.device, loaded.runtime.workers, loaded.runtime.precision = "cpu", 0, "fp32"
    return loaded


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    if mount is None or subprocess.run([mount, "-t", "tmpfs", "-o", "size=64k", "none", disk], check=False).returncode:
        pytest.skip("may not mount a file system here")
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Several threads that have to share a core with other work wait for one another, in each of many short loops."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def tiny(params: Params, one_thread: None) -> Params:
    """Three epochs, each of two steps over nine videos, with small clips and heads."""
    params.clip.frames, params.clip.stride, params.clip.size = 4, 1, 16
    params.pretrain.batch_size, params.pretrain.epochs, params.pretrain.min_steps = 4, 3, 0
    params.pretrain.knn_every = 1
    params.forecast.projection_dim, params.forecast.hidden_dim, params.forecast.gap_max = 8, 16, 6
    return params


@pytest.fixture
def pack(tmp_path: Path) -> Packer:
    """Writes a frames folder; frame t of video v has the gray level 10 v + t, plus texture if asked for."""

    def write(
        lengths: list[int], height: int = 20, width: int = 24, texture: bool = False, status: list[str] | None = None
    ) -> Path:
        folder = tmp_path / "frames"
        (folder / "packs").mkdir(parents=True)
        rng = np.random.default_rng(0)
        status = status or ["ok"] * len(lengths)
        index, rows = [], []
        for v, n_frames in enumerate(lengths):
            with (folder / f"packs/pack-{v:05d}.bin").open("wb") as pack_file:
                ground = rng.integers(0, 100, (height, width, 3)) if texture else np.zeros((height, width, 3), int)
                for t in range(n_frames if status[v] == "ok" else 0):
                    image = np.roll(ground, t * (v % 3), axis=1) + min(10 * v + t, 150)
                    jpeg = cv2.imencode(".png", image.astype(np.uint8))[1].tobytes()  # lossless, so tests are exact
                    index.append((v, pack_file.tell(), len(jpeg)))
                    pack_file.write(jpeg)
            rows.append(
                {
                    "video": f"class{v % 2}/v{v}.avi",
                    "label": f"class{v % 2}",
                    "group": f"{'held-out-' if v % 4 == 3 else ''}g{v // 2}",
                    "split": "test" if v % 4 == 3 else "train",
                    "frames": n_frames if status[v] == "ok" else 0,
                    "fps": 25.0,
                    "width": width,
                    "height": height,
                    "status": status[v],
                    "reason": "" if status[v] == "ok" else "zero bytes",
                }
            )
        pd.DataFrame(rows).to_csv(folder / "videos.csv", index=False)
        np.save(folder / "packs/index.npy", np.array(index, dtype=np.int64).reshape(-1, 3))
        return folder

    return write
