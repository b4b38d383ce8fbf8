"""Writes video files and project folders for tests, runs stages, and reads the outputs of extraction."""

import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from omegaconf import OmegaConf

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared"


def write_video(path: Path, frames: int = 6, size: tuple[int, int] = (48, 32), codec: str = "MJPG") -> Path:
    """Write a video at 25 fps: a bright bar on a dark background moves right by 4 pixels per frame.

    Args:
        path: the file; its suffix selects the container.
        frames: number of frames.
        size: (width, height) in pixels.
        codec: four-character code.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # OpenCV treats % in the name of an output file as a pattern, so the file is renamed afterwards.
    made = path.with_name(f"made{path.suffix}")
    writer = cv2.VideoWriter(str(made), cv2.VideoWriter.fourcc(*codec), 25.0, size)
    assert writer.isOpened(), f"cannot write {codec} to {made}"
    for t in range(frames):
        image = np.full((size[1], size[0], 3), 30, np.uint8)
        image[:, 4 * t : 4 * t + 4] = 220
        writer.write(image)
    writer.release()
    return made.rename(path)


def make_project(folder: Path, **changes: object) -> Path:
    """Make a project folder with the stages and a params.yaml changed by `changes`, such as `{"data.path": ...}`."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(ROOT / "stages", folder / "stages", ignore=shutil.ignore_patterns("__pycache__"))
    params = OmegaConf.load(ROOT / "params.yaml")
    for key, value in {"runtime.workers": 0, **changes}.items():
        OmegaConf.update(params, key, value, force_add=True)
    OmegaConf.save(params, folder / "params.yaml")
    return folder


def run_stage_script(project: Path, stage: str) -> subprocess.CompletedProcess[str]:
    """Run the script of a stage as DVC does."""
    command = [sys.executable, f"stages/{stage}.py"]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=120, check=False)


def table(project: Path = Path()) -> dict[str, dict[str, str]]:
    """Return the rows of data/frames/packs/outcomes.csv by video."""
    with (project / "data/frames/packs/outcomes.csv").open(encoding="utf-8", newline="") as file:
        return {row["video"]: row for row in csv.DictReader(file)}


def all_bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@contextmanager
def bound_by_permissions() -> Iterator[None]:
    """Run the block without root's privileges, because root may read every file. Tests may run as root."""
    if os.geteuid() != 0:
        yield
        return
    os.chown(".", 65534, -1)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
