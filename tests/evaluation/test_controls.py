"""Controls: known answers, standardisation by training videos, and a row for every video, also short or unlabelled."""

import math
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mofore.embedding.store import read_embeddings
from mofore.errors import UserError
from mofore.evaluation.controls import mean_frame, metadata_features, pixel_features
from mofore.frames.store import FrameStore

Packer = Callable[..., Path]
ROOT = Path(__file__).parents[2]
ROWS = ("metadata", "appearance", "motion")


def test_metadata_are_those_of_the_file() -> None:
    table = pd.DataFrame({"width": [320, 64], "height": [240, 64], "frames": [50, 1], "fps": [25.0, 0.0]})
    known, unknown = metadata_features(table)
    assert known == pytest.approx([4 / 3, *(math.log(1 + x) for x in (320, 240, 50, 25, 2))])
    assert unknown == pytest.approx([1, math.log(65), math.log(65), math.log(2), 0, 0])


def test_the_mean_frame_is_the_mean_over_frames_and_areas() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 32, 48, 3), dtype=np.uint8)
    slow = [
        [frames[:, 2 * r : 2 * r + 2, 3 * c : 3 * c + 3].mean(axis=(0, 1, 2)) for c in range(16)] for r in range(16)
    ]
    assert mean_frame(frames) == pytest.approx(np.array(slow).reshape(-1), abs=1e-3)


@pytest.mark.slow
def test_any_number_of_workers_gives_the_same(pack: Packer) -> None:
    videos = FrameStore(pack([12, 1, 2, 40, 9, 5], texture=True))
    alone = pixel_features(videos, 0)
    assert [x.shape for x in alone] == [(6, 768), (6, 738)]
    assert all(np.isfinite(x).all() for x in alone)
    shared = pixel_features(videos, 2)
    assert all((a == b).all() for a, b in zip(alone, shared, strict=True))


def test_pixels_change_the_features(pack: Packer) -> None:
    videos = FrameStore(pack([21, 21, 21]))  # video v gets brighter, from 10 v on, by 1 a frame
    appearance, motion = pixel_features(videos, 0)
    assert appearance == pytest.approx(np.array([[10], [20], [30]]) + np.zeros((1, 768)), abs=0.5)
    change = motion[:, 288:369].reshape(3, 9, 9)
    assert (change[:, 2] == 1).all(), "2 gray levels from the first to the second frame of each pair"


def test_videos_that_move_alike_have_near_motion_features(pack: Packer) -> None:
    videos = FrameStore(pack([30] * 6, texture=True))  # videos 0 and 3 only get brighter, 1 and 4 move, 2 and 5 faster
    _, motion = pixel_features(videos, 0)
    apart = np.linalg.norm(motion[:, None] - motion, axis=2)
    assert apart[0, 3] < min(apart[0, 1], apart[0, 2])
    assert apart[1, 4] < min(apart[1, 0], apart[1, 2])


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_pack_is_an_error(pack: Packer, workers: int) -> None:
    folder = pack([9, 9])
    (folder / "packs/pack-00001.bin").write_bytes(b"x" * 10_000)
    with pytest.raises(UserError, match=r"pack-00001\.bin: damaged at byte 0"):
        pixel_features(FrameStore(folder), workers)


def run_stage(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(ROOT / "params.yaml", project)
    monkeypatch.chdir(project)
    runpy.run_path(str(ROOT / "stages/controls.py"), run_name="__main__")


@pytest.mark.slow
def test_every_usable_video_has_a_row(
    pack: Packer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status = ["ok", "unreadable", "ok", "ok", "ok"]
    frames = pack([30, 30, 1, 2, 20], texture=True, status=status)
    project = frames.parent
    (project / "data").mkdir()
    frames = frames.rename(project / "data/frames")
    table = pd.read_csv(frames / "videos.csv")
    table.loc[[0, 2], "label"] = ""
    table.loc[4, "video"] = 'a, "b"\n$c.avi'
    table.to_csv(frames / "videos.csv", index=False)
    run_stage(project, monkeypatch)

    for row, dim in zip(ROWS, (6, 768, 738), strict=True):
        found = read_embeddings(project / "data/controls", row)
        assert found.video.tolist() == ["class0/v0.avi", "class0/v2.avi", "class1/v3.avi", 'a, "b"\n$c.avi']
        assert found.label.tolist() == ["", "", "class1", "class0"]
        assert found.split.tolist() == ["train", "train", "test", "train"]
        assert found.x_ND.shape == (4, dim)
        assert found.x_ND.dtype == np.float32
        assert found.x_ND[found.split == "train"].mean(axis=0) == pytest.approx(0, abs=1e-5)
    assert capsys.readouterr().out == (
        "controls: 4 videos; number of features: metadata 6, appearance 768, motion 738, motion_appearance 1506\n"
    )


@pytest.mark.slow
def test_the_stage_does_not_import_torch() -> None:
    code = "import sys, controls; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT / "stages", check=True)
