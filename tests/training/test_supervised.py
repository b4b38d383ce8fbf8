"""Supervised training: it learns, is reproducible, and never reads a test label."""

import runpy
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mofore.config import Params
from mofore.embedding.geometry import unit
from mofore.embedding.inference import UniformClips, embed_clips
from mofore.embedding.store import read_embeddings, read_few_labels
from mofore.errors import UserError
from mofore.frames.store import FrameStore
from mofore.training.supervised import LabelledClips, train_on_labels, why_untrainable
from tests.helpers.easy_classes import two_easy_classes
from tests.helpers.small_project import edit

Packer = Callable[..., Path]
ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
SMALL = {
    "clip.frames": 4,
    "clip.stride": 1,
    "clip.size": 16,
    "pretrain.batch_size": 4,
    "embed.clips": 2,
    "runtime.device": "cpu",
    "runtime.workers": 0,
    "supervised.epochs": 2,
}

pytestmark = pytest.mark.usefixtures("one_thread")


def labelled(folder: Path) -> FrameStore:
    videos = FrameStore(folder, split="train")
    videos.keep((videos.table.label != "").to_numpy())
    return videos


def train(params: Params, videos: FrameStore) -> dict[str, torch.Tensor]:
    return train_on_labels(params, videos, CPU).encoder.state_dict()


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.slow
def test_it_learns_two_easy_classes(pack: Packer, tiny: Params) -> None:
    folder = two_easy_classes(pack)
    tiny.supervised.epochs, tiny.pretrain.lr = 40, 3e-3
    encoder, *_, accuracy = train_on_labels(tiny, labelled(folder), CPU)
    assert accuracy > 0.85
    assert not any(module.training for module in encoder.modules())

    videos = FrameStore(folder)
    x_VD = embed_clips({"": encoder}, UniformClips(videos, tiny.clip, 2), tiny.runtime, CPU)[""].mean(axis=1)
    test, label = (videos.table.split == "test").to_numpy(), videos.table.label.to_numpy()
    nearest = (unit(x_VD[test]) @ unit(x_VD[~test]).T).argmax(axis=1)
    assert (label[~test][nearest] == label[test]).all()


@pytest.mark.slow
def test_two_runs_are_the_same_bit_for_bit(pack: Packer, tiny: Params) -> None:
    videos = labelled(pack([20] * 9, texture=True))
    tiny.supervised.epochs = 2
    first = train(tiny, videos)
    torch.rand(3)  # earlier draws must not matter
    tiny.runtime.workers = 2
    assert same(first, train(tiny, videos))
    tiny.seed += 1
    assert not same(first, train(tiny, videos))


def test_clips_start_anywhere_in_the_video_and_have_its_label(pack: Packer, tiny: Params) -> None:
    tiny.clip.input, tiny.augment.crop_min = "rgb", 1.0
    videos = FrameStore(pack([9, 4, 12]))  # frame t of video v has gray level 10 v + t
    clips = LabelledClips(videos, tiny)
    drawn = [clips[epoch, 0] for epoch in range(60)]
    starts = {int(sample.clip_THWC[0, 0, 0, 0]) for sample in drawn}
    assert starts == set(range(6)), "all possible starts"
    assert all((np.diff(sample.clip_THWC[:, 0, 0, 0].astype(int)) == 1).all() for sample in drawn)
    assert clips[0, 1].clip_THWC[:, 0, 0, 0].tolist() == [10, 11, 12, 13]
    assert [clips[0, video].label for video in range(3)] == [0, 1, 0]
    assert (clips[3, 2].clip_THWC == clips[3, 2].clip_THWC).all()


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (["", "", "", "", "", ""], "the training videos have 0 labels, but at least two are needed"),
        (["a", "a", "a", "a", "a", "a"], "the training videos have 1 label, but at least two are needed"),
        (["a", "b", "a", "a", "", ""], "3 labelled training videos, fewer than pretrain.batch_size, 4"),
        (["a", "b", "a", "a", "a", ""], ""),
    ],
)
def test_the_reason_is_given_if_training_is_impossible(pack: Packer, labels: list[str], reason: str) -> None:
    folder = pack([9] * 6)  # the fourth is a test video
    table = pd.read_csv(folder / "videos.csv").assign(label=labels)
    table.to_csv(folder / "videos.csv", index=False)
    assert why_untrainable(labelled(folder), 4) == reason


def test_weights_that_are_not_finite_are_an_error(pack: Packer, tiny: Params) -> None:
    tiny.supervised.epochs, tiny.pretrain.lr = 3, 1e38
    with pytest.raises(UserError, match=r"its weights are not finite: lower pretrain\.lr"):
        train_on_labels(tiny, labelled(pack([9] * 9, texture=True)), CPU)


@pytest.fixture
def project(pack: Packer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nine videos: two are test videos, one is too short for a clip."""
    frames = pack([20, 20, 4, 20, 20, 20, 20, 20, 20], texture=True)
    (tmp_path / "data").mkdir()
    frames.rename(tmp_path / "data/frames")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    edit(tmp_path, SMALL)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_stage() -> None:
    runpy.run_path(str(ROOT / "stages/supervised.py"), run_name="__main__")


def change_labels(project: Path, rows: np.ndarray, label: str) -> None:
    table = pd.read_csv(project / "data/frames/videos.csv", keep_default_na=False)
    table.loc[rows, "label"] = label
    table.to_csv(project / "data/frames/videos.csv", index=False)


def test_the_stage_embeds_all_videos_and_never_reads_a_test_label(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_stage()
    found = read_embeddings(project / "data/supervised", "supervised")
    assert found.video.tolist() == [f"class{v % 2}/v{v}.avi" for v in (0, 1, 3, 4, 5, 6, 7, 8)]
    assert found.x_ND.shape == (8, 2 * 2 * 192 * 10)  # mean and deviation; two streams; the frame and 9 cells
    assert np.ptp(found.x_ND, axis=0).max() > 0
    printed = capsys.readouterr().out
    assert printed.startswith(
        "supervised: 6 videos of 2 classes, 2 epochs; accuracy on training clips in the last epoch "
    )

    change_labels(project, np.array([3, 7]), "something else")  # the test videos
    run_stage()
    relabelled = read_embeddings(project / "data/supervised", "supervised")
    assert set(relabelled.label[relabelled.split == "test"]) == {"something else"}
    assert (relabelled.x_ND == found.x_ND).all()

    change_labels(project, np.array([0, 1]), "something else")
    run_stage()
    assert (read_embeddings(project / "data/supervised", "supervised").x_ND != found.x_ND).any()


def test_the_stage_trains_on_few_labels_and_never_reads_a_test_label(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(project, {"supervised.few_draws": 2})
    run_stage()
    assert capsys.readouterr().out.endswith("supervised: 4 trainings on few labels\n")
    found = read_few_labels()
    assert found is not None
    assert found.groupby(["labels", "draw"]).video.apply(list).to_dict() == {
        (labels, draw): ["class1/v3.avi", "class1/v7.avi"] for labels in (1, 2) for draw in (0, 1)
    }
    assert set(found.predicted) <= {"class0", "class1"}
    change_labels(project, np.array([3, 7]), "")  # the test videos
    run_stage()
    again = read_few_labels()
    assert again is not None
    assert again.equals(found)
    edit(project, {"supervised.few_draws": 0})
    run_stage()
    assert read_few_labels() is None


def test_without_training_the_folder_holds_the_reason(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = project / "data/supervised"
    run_stage()
    assert len(list(folder.iterdir())) == 1
    change_labels(project, np.arange(9), "")
    run_stage()
    assert [path.name for path in folder.iterdir()] == ["absent.txt"]
    assert "not trained: the training videos have 0 labels" in capsys.readouterr().out
    shutil.rmtree(folder)
    edit(project, {"supervised.epochs": 0})
    run_stage()
    assert [path.name for path in folder.iterdir()] == ["absent.txt"]
    assert capsys.readouterr().out == "supervised: not asked for, supervised.epochs is 0\n"
