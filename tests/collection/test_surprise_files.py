"""Surprise of real files: what is written, bad ones among good ones, and places that cannot be written to."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from pandas.testing import assert_frame_equal

from mofore.collection import surprise_files
from mofore.collection.encoder import SHIPPED_CLIP
from mofore.collection.surprise_files import measure_videos
from mofore.collection.surprise_sink import COLUMNS
from mofore.config import load_params
from mofore.errors import UserError
from mofore.frames.child import end_child
from mofore.method.encoders import save_encoder
from mofore.method.model import MoFore
from mofore.method.saved_model import save_forecaster
from mofore.method.shipped import shipped_encoder
from tests.helpers.video_files import ROOT, bound_by_permissions, write_video


@pytest.fixture(scope="module", autouse=True)
def _no_child_is_left() -> Iterator[None]:
    yield
    end_child()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with an untrained predictor."""
    folder = tmp_path_factory.mktemp("model")
    encoder = shipped_encoder("two_stream")
    torch.manual_seed(0)
    forecast = replace(load_params(ROOT / "params.yaml").forecast, projection_dim=16, hidden_dim=32)
    save_encoder(folder, encoder, "small", SHIPPED_CLIP)
    save_forecaster(folder, MoFore(encoder, forecast, "averaged"), forecast)
    return folder


def test_a_damaged_video_among_good_ones_is_left_out(model: Path, tmp_path: Path) -> None:
    videos, out = tmp_path / "videos", tmp_path / "out"
    for name in ("a/good.avi", "b/good.avi", "b/half.avi"):
        write_video(videos / name, 120)
    half = (videos / "b/half.avi").read_bytes()
    (videos / "b/half.avi").write_bytes(half[: len(half) * 3 // 4])
    (videos / "b/bad.avi").write_bytes(b"RIFF" + half[4:99])
    found, unusable = measure_videos(videos, out, model)
    assert [video.file.name for video in found] == ["good.avi", "good.avi", "half.avi"]
    assert [bool(video.reason) for video in found] == [False, False, True]
    assert list(unusable) == [str(videos / "b/bad.avi")]
    assert {str(file.relative_to(out)) for file in out.rglob("*.*")} == {
        f"{name}.avi.{suffix}" for name in ("a/good", "b/good", "b/half") for suffix in ("csv", "png")
    }
    table = pd.read_csv(found[0].table)
    assert list(table) == list(COLUMNS)
    assert len(table) == 1 + (120 - 50) // 5
    assert all(not peak.picture for video in found for peak in video.peaks)
    table.head(1).to_csv(found[0].table, index=False)
    measure_videos(videos / "a", out / "a", model)  # earlier results are replaced
    assert_frame_equal(pd.read_csv(found[0].table), table, atol=0.05)  # torch may round otherwise the second time
    with pytest.raises(UserError, match=r"^/.*bad.avi: cut off: not a video"):
        measure_videos(videos / "b/bad.avi", out, model)


def test_times_of_long_videos_keep_their_decimals(tmp_path: Path) -> None:
    time_s = 100_000.2 + np.arange(3) / 5
    rows = pd.DataFrame(dict.fromkeys(COLUMNS, time_s) | {"error": [0.123456789, 2.0, 1e-7]})
    surprise_files._write_table(tmp_path / "x.csv", rows)
    lines = (tmp_path / "x.csv").read_text().splitlines()
    assert [line.split(",")[:2] for line in lines[1:]] == [
        ["100000.200", "0.12346"], ["100000.400", "2"], ["100000.600", "1e-07"],
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["file", "closed", "table", "picture"])
def test_a_place_that_cannot_be_written_to_is_told_before_a_video_is_measured(
    kind: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(*_: object) -> None:
        raise AssertionError("a video was measured")

    monkeypatch.setattr(surprise_files, "surprise", measured)
    monkeypatch.chdir(tmp_path)
    write_video(Path("videos/a.avi"))
    out = Path("out")
    if kind == "file":
        out.write_text("mine")
        wrong = "out: out is no folder"
    elif kind == "closed":
        out.mkdir(mode=0o555)
        wrong = "out: no permission to write in out"
    else:
        out.mkdir()
        out.chmod(0o777)
        mine = out / f"a.avi.{'csv' if kind == 'table' else 'png'}"
        mine.write_text("frame,label\n1,x\n")
        wrong = f"{mine}: exists and is not of `mofore surprise`: give another --out"
    monkeypatch.setattr(surprise_files, "check_options", lambda *_: None)  # of a folder that root alone may read
    with bound_by_permissions(), pytest.raises(UserError, match=wrong):
        measure_videos("videos", out, model)
