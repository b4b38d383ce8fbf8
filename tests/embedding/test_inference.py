"""Features of clips follow the protocol and their order, for any number of workers and processes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from mofore.clips.augment import eval_crop, to_input
from mofore.clips.sampling import clip_offsets
from mofore.config import Params
from mofore.embedding.feature_files import feature_folders
from mofore.embedding.inference import (
    FloatArray,
    UniformClips,
    VideoFeatures,
    View,
    apply_view,
    embed_clips,
    embed_clips_to_files,
    embed_videos,
    embed_videos_to_files,
    streams_of,
    view_to_input,
)
from mofore.frames.store import FramesArray, FrameStore
from mofore.method.encoders import TwoStream, build_encoder
from mofore.runtime.distributed import SINGLE, Processes

Packer = Callable[..., Path]
CPU = torch.device("cpu")
VIEWS: tuple[View, ...] = ("ordered", "shuffled", "still")
POOL = nn.Sequential(nn.AdaptiveAvgPool3d(2), nn.Flatten())


@dataclass(frozen=True)
class FakeProcesses(Processes):
    """One of several processes, without communication. Rank 0 collects what the others have appended to `others`."""

    others: list[Any] = field(default_factory=list)

    def any(self, yes: bool) -> bool:
        return yes

    def collect(self, value: Any) -> list[Any]:
        if self.is_main:
            return [value, *self.others]
        self.others.append(value)
        return []


@pytest.fixture
def short(params: Params) -> Params:
    params.clip.frames, params.clip.stride, params.clip.size = 4, 1, 16
    return params


def embed(samples: UniformClips, params: Params, processes: Processes = SINGLE) -> FloatArray:
    return embed_clips({"a": POOL}, samples, params.runtime, CPU, processes)["a"]


@pytest.mark.parametrize("kind", ["rgb", "residual"])
def test_embeddings_equal_one_clip_at_a_time(pack: Packer, short: Params, kind: str) -> None:
    short.clip.input = kind
    videos = FrameStore(pack([12, 30, 7, 9, 21, 14, 8, 11, 10], texture=True))
    encoder, other = build_encoder("small", 0).eval(), build_encoder("small", 1).eval()
    uniform = UniformClips(videos, short.clip, 3)
    found = embed_clips({"a": encoder, "b": other}, uniform, short.runtime, CPU)
    assert found["a"].shape == (9, 3, 192)
    assert not np.allclose(found["a"], found["b"])
    for video in (0, 1, 8):
        for k, start in enumerate(uniform.starts(video)):
            frames = eval_crop(videos.read(video, start + clip_offsets(short.clip)), short.clip)
            with torch.no_grad():
                alone = encoder(to_input(torch.from_numpy(frames[None].copy()), kind))
            assert np.allclose(alone.numpy()[0], found["a"][video, k], atol=1e-4)


def test_embedding_does_not_change_the_encoder(pack: Packer, short: Params) -> None:
    encoder = build_encoder("small", 0).eval()
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    embed_clips({"a": encoder}, UniformClips(FrameStore(pack([9, 9])), short.clip, 2), short.runtime, CPU)
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())
    assert not any(module.training for module in encoder.modules())


@pytest.mark.slow
def test_any_number_of_workers_gives_the_same(pack: Packer, short: Params) -> None:
    samples = UniformClips(FrameStore(pack([12] * 10, texture=True)), short.clip, 2)
    alone = embed(samples, short)
    short.runtime.workers = 2
    assert (embed(samples, short) == alone).all()


def test_any_number_of_processes_gives_the_same(pack: Packer, short: Params) -> None:
    samples = UniformClips(FrameStore(pack([12] * 21, texture=True)), short.clip, 2)  # three batches
    alone = embed(samples, short)
    for count in (2, 3):
        others: list[Any] = []
        for rank in range(1, count):
            process = FakeProcesses(rank, count, rank, others=others)
            assert embed_clips({"a": POOL}, samples, short.runtime, CPU, process) == {}
        assert all(len(batches) == 1 for batches in others)
        assert (embed(samples, short, FakeProcesses(0, count, 0, others=others)) == alone).all()


def test_a_frame_of_several_clips_is_decoded_once(pack: Packer, short: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    videos = FrameStore(pack([9]))
    frames_read: list[int] = []
    read = videos.reader.read

    def recording_read(video: int, frames: npt.NDArray[np.int64]) -> FramesArray:
        frames_read.extend(frames.tolist())
        return read(video, frames)

    monkeypatch.setattr(videos.reader, "read", recording_read)
    clips = UniformClips(videos, short.clip, 5)[0]
    assert clips.shape == (5, 5, 16, 16, 3)
    assert clips[:, :, 0, 0, 0].tolist() == [[start + t for t in range(5)] for start in range(5)]
    assert sorted(frames_read) == list(range(9))


def test_a_still_repeats_the_middle_frame_and_shuffling_only_reorders() -> None:
    frames = torch.arange(6 * 5).reshape(6, 5, 1, 1, 1).expand(6, 5, 2, 2, 3)
    assert apply_view(frames, "ordered", 0) is frames
    still = apply_view(frames, "still", 0)
    assert still.shape == frames.shape
    assert (still == frames[:, 2:3]).all()
    shuffled = apply_view(frames, "shuffled", 0)
    assert (shuffled.sort(dim=1).values == frames).all()
    orders = {tuple((clip[:, 0, 0, 0] % 5).tolist()) for clip in shuffled}
    assert len(orders) > 3, "each clip has its own order"
    assert (apply_view(frames, "shuffled", 0) == shuffled).all()
    assert (apply_view(frames, "shuffled", 1) != shuffled).any()


def test_only_stills_of_differences_are_reduced_to_one_clip() -> None:
    frames = torch.randint(255, (6, 5, 4, 4, 3), dtype=torch.uint8)
    for kind in ("rgb", "residual"):
        for view in VIEWS:
            given = view_to_input(frames, view, kind, 0)
            every = to_input(apply_view(frames, view, 0), kind)
            assert len(given) == (1 if (view, kind) == ("still", "residual") else 6)
            assert torch.equal(given.expand_as(every), every)


def test_streams_get_their_halves_of_the_input() -> None:
    frames = torch.randint(255, (6, 5, 4, 4, 3), dtype=torch.uint8)
    for view in VIEWS:
        both = view_to_input(frames, view, "two_stream", 0)
        for stream, half in zip(("residual", "rgb"), both.chunk(2, dim=1), strict=True):
            given = view_to_input(frames, view, "two_stream", 0, stream)
            assert len(given) == (1 if (view, stream) == ("still", "residual") else 6)
            assert torch.equal(given.expand_as(half), half)


@pytest.mark.parametrize("grid", [0, 2])
def test_a_shared_stream_is_computed_once_and_changes_nothing(pack: Packer, short: Params, grid: int) -> None:
    short.clip.input = "two_stream"
    samples = UniformClips(FrameStore(pack([12] * 9, texture=True)), short.clip, 2)
    one, other = (build_encoder("small", seed, "two_stream").eval() for seed in (1, 2))
    (of_one, of_other) = ([stream for stream, _ in streams_of(encoder)] for encoder in (one, other))
    encoders = {"one": one, "other": other, "shared": TwoStream(of_other[0], of_one[1]), "still": one}
    runs = {stream.trunk: 0 for stream in of_one + of_other}
    for trunk in runs:
        trunk.register_forward_hook(lambda module, *_: runs.update({module: runs[module] + 1}))
    views: dict[str, View] = {"still": "still"}
    together = embed_videos(encoders, samples, grid, short.runtime, CPU, views=views)
    assert list(runs.values()) == [4, 4, 2, 2], "two batches; the first two streams in two views"
    for name, encoder in encoders.items():
        view = {"alone": views[name]} if name in views else {}
        alone = embed_videos({"alone": encoder}, samples, grid, short.runtime, CPU, views=view)["alone"]
        for ours, expected in zip(together[name], alone, strict=True):
            assert (ours == expected).all()
    half = together["one"].mean_VE.shape[1] // 2
    assert half == 192 * (1 + grid**2)
    assert (together["shared"].mean_VE[:, :half] == together["other"].mean_VE[:, :half]).all()
    assert (together["shared"].mean_VE[:, half:] == together["one"].mean_VE[:, half:]).all()
    clips = embed_clips({"": one}, samples, short.runtime, CPU)[""]
    np.testing.assert_allclose(together["one"].clip_VKD, clips, atol=1e-5)
    if not grid:
        np.testing.assert_allclose(together["one"].mean_VE, clips.mean(axis=1), atol=1e-5)


@pytest.mark.parametrize("kind", ["rgb", "residual"])
def test_controls_see_changed_clips(pack: Packer, short: Params, kind: str) -> None:
    """Mean and deviation over time show the view: a still has no deviation; shuffling keeps the mean of colours."""
    short.clip.input = kind
    samples = UniformClips(FrameStore(pack([12] * 9, texture=True)), short.clip, 2)

    class Moments(nn.Module):
        def forward(self, x_BCTHW: torch.Tensor) -> torch.Tensor:
            mean_BCHW = x_BCTHW.mean(dim=2)
            return torch.stack(
                [mean_BCHW.mean(dim=(1, 2, 3)), (x_BCTHW - mean_BCHW[:, :, None]).abs().amax(dim=(1, 2, 3, 4))], 1
            )

    names: dict[str, View] = {"shuffled": "shuffled", "still": "still"}
    encoders: dict[str, nn.Module] = dict.fromkeys(["ordered", *names], Moments())
    found = embed_clips(encoders, samples, short.runtime, CPU, views=names)
    moving = np.arange(9) % 3 > 0  # in the other videos all pixels get brighter by the same amount
    assert (found["ordered"][moving, :, 1] > 0.01).all()
    assert np.allclose(found["still"][:, :, 1], 0, atol=1e-5)
    if kind == "rgb":
        assert np.allclose(found["shuffled"][:, :, 0], found["ordered"][:, :, 0], atol=1e-4)
    else:
        assert np.allclose(found["still"][:, :, 0], 0, atol=1e-6)
        assert not np.allclose(found["shuffled"], found["ordered"])


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("per_block", [1, 16, 4096])
def test_features_in_files_are_those_in_memory(
    count: int, per_block: int, pack: Packer, short: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mofore.embedding.feature_files.VIDEOS_PER_BLOCK", per_block)
    short.clip.input = "two_stream"
    samples = UniformClips(FrameStore(pack([12] * 21, texture=True)), short.clip, 2)  # three batches
    encoder = build_encoder("small", 1, "two_stream").eval()
    encoders, views = {"a": encoder, "b": encoder}, dict[str, View](b="shuffled")
    wanted = embed_videos(encoders, samples, 2, short.runtime, CPU, views=views)
    clips = embed_clips({"a": encoder}, samples, short.runtime, CPU)["a"]
    ranks = [FakeProcesses(rank, count, rank, others=[]) for rank in range(count)]
    with feature_folders(tmp_path, ranks[0], 2) as (for_videos, for_clips):
        for process in reversed(ranks):  # rank 0 reads at the end, when all have written
            videos = embed_videos_to_files(encoders, samples, 2, short.runtime, CPU, process, views, 0, for_videos)
            stored = embed_clips_to_files({"a": encoder}, samples, short.runtime, CPU, process, for_clips)
        for name, blocks in videos.items():
            for _ in range(2):  # as often as needed
                found = VideoFeatures(*map(np.concatenate, zip(*blocks, strict=True)))
                assert all((ours == expected).all() for ours, expected in zip(found, wanted[name], strict=True))
        assert (np.concatenate(list(stored["a"])) == clips).all()
        assert max(len(block) for block in stored["a"]) == min(21, max(per_block, 8))
    assert not list(tmp_path.glob("parts*"))
