"""Computes features of uniformly spaced clips with frozen encoders.

This follows the usual protocol: uniformly spaced clips, encoder in eval mode, pooled features without the projector.
Most papers crop the centre, as `clip.crop` "center" does; with "none" the encoder sees whole frames. As controls, an
encoder can also see the same clips with their frames shuffled, or with one frame repeated.

Shapes: B clips of a batch, V videos, K clips per video, T frames, N distinct frames, H = W side of a clip, C channels,
D feature dimensions, G parts of the frame, E = G D dimensions of a video's embedding.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Generic, Literal, NamedTuple, TypeVar, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from mofore.clips.augment import eval_crop, to_input
from mofore.clips.loader import load_batches
from mofore.clips.sampling import clip_offsets, clip_span, uniform_starts
from mofore.clips.transfer import to_device
from mofore.config import Clip, Runtime
from mofore.embedding.feature_files import Batch, FeatureFiles
from mofore.frames.store import FrameStore
from mofore.method.encoders import Encoder, TwoStream
from mofore.method.shipped import STREAM_OF
from mofore.runtime.device import autocast
from mofore.runtime.distributed import SINGLE, Processes
from mofore.utils.progress import progress

FloatArray = npt.NDArray[np.float32]
View = Literal["ordered", "shuffled", "still"]
T = TypeVar("T")
VIDEOS_PER_BATCH = 8


def apply_view(frames_BTHWC: Tensor, view: View, seed: int) -> Tensor:
    """Change the frames of each clip for a control; the shape stays the same.

    An encoder that scores equally well on "shuffled" does not use the order of frames. One that scores equally well on
    "still" does not use motion.

    Args:
        frames_BTHWC: decoded frames.
        view: "ordered": unchanged; "shuffled": a random order, drawn per clip; "still": the middle frame, repeated.
        seed: of the random orders.
    """
    clips, frames = frames_BTHWC.shape[:2]
    if view == "still":
        return frames_BTHWC[:, frames // 2, None].expand_as(frames_BTHWC)
    if view == "shuffled":
        sort_key_BT = torch.rand(clips, frames, generator=torch.Generator().manual_seed(seed))
        return frames_BTHWC[torch.arange(clips)[:, None], sort_key_BT.argsort(dim=1)]
    return frames_BTHWC


def view_to_input(frames_BTHWC: Tensor, view: View, input: str, seed: int, stream: str | None = None) -> Tensor:
    """Network input of a view of clips: [B, C, T, H, W].

    Frame differences of stills are all 0, so there one clip stands for all: [1, C, T, H, W].

    Args:
        frames_BTHWC: decoded frames.
        view: see `apply_view`.
        input: kind of input of the encoder.
        seed: of random orders.
        stream: kind of input of one stream of a "two_stream" encoder, if only this is wanted.
    """
    frames_BTHWC, kind = apply_view(frames_BTHWC, view, seed), stream or input
    if stream == "rgb":
        frames_BTHWC = frames_BTHWC[:, 1:]  # the later of the two frames of each difference, as in `to_input`
    return to_input(frames_BTHWC[:1] if view == "still" and kind == "residual" else frames_BTHWC, kind)


class UniformClips(Dataset[npt.NDArray[np.uint8]]):
    """K uniformly spaced clips of each video, uint8 [K, T, H, W, C]. A key is the index of a video."""

    def __init__(self, videos: FrameStore, clip: Clip, clips: int) -> None:
        self.reader, self.clip, self.clips = videos.reader, clip, clips
        self.offsets, self.span = clip_offsets(clip), clip_span(clip)
        self.n_frames = videos.table.frames.to_numpy()

    def starts(self, video: int) -> npt.NDArray[np.int64]:
        """First video frame of each clip, [K]."""
        return uniform_starts(int(self.n_frames[video]), self.span, self.clips)

    def __len__(self) -> int:
        return len(self.n_frames)

    def video(self, key: int) -> None:
        """Nothing is cached."""

    def __getitem__(self, video: int) -> npt.NDArray[np.uint8]:
        wanted_KT = self.starts(video)[:, None] + self.offsets
        frames, index_KT = np.unique(wanted_KT, return_inverse=True)  # clips may overlap: decode each frame once
        frames_NHWC = eval_crop(self.reader.read(video, frames), self.clip)
        return frames_NHWC[index_KT.reshape(wanted_KT.shape)]


def video_batches(n_videos: int) -> list[list[int]]:
    """The numbers of the videos in batches of VIDEOS_PER_BATCH; the last may have fewer."""
    return [list(range(at, min(at + VIDEOS_PER_BATCH, n_videos))) for at in range(0, n_videos, VIDEOS_PER_BATCH)]


class VideoFeatures(NamedTuple):
    """What an encoder makes of videos; not normalised.

    Attributes:
        clip_VKD: float32, features of the whole frame, by clip; those of the motion stream first.
        mean_VE: float32, mean over the clips of all features: of the whole frame, then of each cell of a grid; all
            those of the motion stream first.
        std_VE: float32, their standard deviation over the clips; 0 for a single clip.
    """

    clip_VKD: FloatArray
    mean_VE: FloatArray
    std_VE: FloatArray


class Blocks(Generic[T]):
    """Features of successive videos, block by block, as often as needed."""

    def __init__(self, read: Callable[[], Iterator[T]]) -> None:
        self._read = read

    def __iter__(self) -> Iterator[T]:
        return self._read()


# (network input, B) -> arrays with a row per video. The input has B clips, or one that stands for all of them.
Embedder = Callable[[Tensor, int], tuple[Tensor, ...]]


class Job(NamedTuple):
    """What to compute of each batch: a network, and the input that it gets (see `view_to_input`)."""

    view: View
    stream: str | None
    embedder: Embedder


def embed_clips(
    encoders: dict[str, nn.Module],
    samples: UniformClips,
    runtime: Runtime,
    device: torch.device,
    processes: Processes = SINGLE,
    views: dict[str, View] | None = None,
) -> dict[str, FloatArray]:
    """Embed the clips of all videos with several networks, decoding each video once. All fit into memory.

    Args:
        encoders: by name, on `device`, in eval mode; each maps [B, C, T, H, W] to [B, D].
        samples: clips of videos that are each at least one clip long.
        runtime: number of loader workers and precision.
        device: the device of the encoders.
        processes: each embeds every n-th batch, where n is the number of processes.
        views: view of the clips for each encoder, by name; encoders without an entry see them ordered.

    Returns:
        By encoder name, float32 [V, K, D], not normalised. Empty on all ranks but 0.
    """
    jobs = _clip_jobs(encoders, samples, views)
    found = _in_memory(_embed(jobs, samples, runtime, device, processes, 0), len(samples), processes)
    return {name: clip_VKD for name, (clip_VKD,) in zip(encoders, found, strict=False)}


def embed_clips_to_files(
    encoders: dict[str, nn.Module],
    samples: UniformClips,
    runtime: Runtime,
    device: torch.device,
    processes: Processes,
    folder: Path,
) -> dict[str, Blocks[FloatArray]]:
    """As `embed_clips`, with the results in files of an empty folder that all processes see.

    Returns:
        By encoder name, blocks of successive videos, to be read on rank 0 as often as needed.
    """
    files = FeatureFiles(folder, processes)
    own = _embed(_clip_jobs(encoders, samples, None), samples, runtime, device, processes, 0)
    files.write(own, video_batches(len(samples)))
    return {name: Blocks(partial(_only_array, files, job)) for job, name in enumerate(encoders)}


def _only_array(files: FeatureFiles, job: int) -> Iterator[FloatArray]:
    return (clip_VKD for (clip_VKD,) in files.blocks(job))


def embed_videos(
    encoders: dict[str, Encoder | TwoStream],
    samples: UniformClips,
    grid: int,
    runtime: Runtime,
    device: torch.device,
    processes: Processes = SINGLE,
    views: dict[str, View] | None = None,
    seed: int = 0,
) -> dict[str, VideoFeatures]:
    """Embed videos with several encoders; arguments as for `embed_clips`. All features fit into memory.

    A stream that several encoders share is computed once.

    Args:
        grid: cells per side, see `Encoder.pyramid`.
        seed: of the order of shuffled frames.

    Returns:
        By encoder name. Empty on all ranks but 0.
    """
    jobs, streams = _video_jobs(encoders, samples, grid, views)
    found = _in_memory(_embed(jobs, samples, runtime, device, processes, seed), len(samples), processes)
    if not found:
        return {}
    return {name: _side_by_side([found[job] for job in own]) for name, own in streams.items()}


def embed_videos_to_files(
    encoders: dict[str, Encoder | TwoStream],
    samples: UniformClips,
    grid: int,
    runtime: Runtime,
    device: torch.device,
    processes: Processes,
    views: dict[str, View],
    seed: int,
    folder: Path,
) -> dict[str, Blocks[VideoFeatures]]:
    """As `embed_videos`, with the features in files of an empty folder that all processes see.

    Returns:
        By encoder name, blocks of successive videos, to be read on rank 0 as often as needed.
    """
    jobs, streams = _video_jobs(encoders, samples, grid, views)
    files = FeatureFiles(folder, processes)
    files.write(_embed(jobs, samples, runtime, device, processes, seed), video_batches(len(samples)))
    return {name: Blocks(partial(_blocks_of_streams, files, own)) for name, own in streams.items()}


def _blocks_of_streams(files: FeatureFiles, jobs: list[int]) -> Iterator[VideoFeatures]:
    return (_side_by_side(list(arrays)) for arrays in zip(*map(files.blocks, jobs), strict=True))


def _side_by_side(streams: list[list[FloatArray]]) -> VideoFeatures:
    """The features of all streams of an encoder, in the last dimension."""
    return VideoFeatures(*(np.concatenate(x, axis=-1) for x in zip(*streams, strict=True)))


def _clip_jobs(encoders: dict[str, nn.Module], samples: UniformClips, views: dict[str, View] | None) -> list[Job]:
    return [
        Job((views or {}).get(name, "ordered"), None, partial(_clip_features, encoder, samples.clips))
        for name, encoder in encoders.items()
    ]


def _video_jobs(
    encoders: dict[str, Encoder | TwoStream], samples: UniformClips, grid: int, views: dict[str, View] | None
) -> tuple[list[Job], dict[str, list[int]]]:
    """One job for each stream and view, and the numbers of the jobs of each encoder's streams, motion first."""
    jobs: dict[tuple[Encoder, View], Job] = {}
    keys: dict[str, list[tuple[Encoder, View]]] = {}
    for name, encoder in encoders.items():
        view = (views or {}).get(name, "ordered")
        own = {
            (stream, view): Job(view, kind, partial(_video_features, stream, grid, samples.clips))
            for stream, kind in streams_of(encoder)
        }
        jobs |= own
        keys[name] = list(own)
    number = {key: job for job, key in enumerate(jobs)}
    return list(jobs.values()), {name: [number[key] for key in own] for name, own in keys.items()}


def streams_of(encoder: Encoder | TwoStream) -> list[tuple[Encoder, str | None]]:
    """The streams of an encoder, each with its kind of input as for `view_to_input`: None, if there is only one."""
    if isinstance(encoder, Encoder):
        return [(encoder, None)]
    return [(cast(Encoder, stream), kind) for stream, kind in zip(encoder.streams, STREAM_OF, strict=True)]


def _clip_features(encoder: nn.Module, per_video: int, x_BCTHW: Tensor, clips: int) -> tuple[Tensor]:
    return (encoder(x_BCTHW).float().expand(clips, -1).unflatten(0, (-1, per_video)),)


def _video_features(
    stream: Encoder, grid: int, per_video: int, x_BCTHW: Tensor, clips: int
) -> tuple[Tensor, Tensor, Tensor]:
    features_VKGD = stream.pyramid(x_BCTHW, grid).float().expand(clips, -1, -1).unflatten(0, (-1, per_video))
    mean_VGD, std_VGD = features_VKGD.mean(dim=1), features_VKGD.std(dim=1, correction=0)
    return features_VKGD[:, :, 0].contiguous(), mean_VGD.flatten(1), std_VGD.flatten(1)


def _embed(
    jobs: list[Job],
    samples: UniformClips,
    runtime: Runtime,
    device: torch.device,
    processes: Processes,
    seed: int,
) -> Iterator[Batch]:
    """The arrays that the network of each job returns, for each batch of this process."""
    own_batches = video_batches(len(samples))[processes.rank :: processes.count]
    loaded = load_batches(samples, own_batches, runtime.workers, device)
    for frames_VKTHWC in progress(loaded, len(own_batches), "embed", "batch", hidden=not processes.is_main):
        with torch.inference_mode(), autocast(runtime, device):
            clips_BTHWC = to_device(frames_VKTHWC, device).flatten(0, 1)
            inputs = {
                (view, stream): view_to_input(clips_BTHWC, view, samples.clip.input, seed, stream)
                for view, stream in {(job.view, job.stream) for job in jobs}
            }
            features = [job.embedder(inputs[job.view, job.stream], len(clips_BTHWC)) for job in jobs]
        yield [[x.cpu().numpy() for x in found] for found in features]


def _in_memory(own: Iterator[Batch], videos: int, processes: Processes) -> list[list[FloatArray]]:
    """The features of all videos, by job and array. Empty on all ranks but 0."""
    by_rank = processes.collect(list(own))
    if not by_rank:
        return []
    in_order = [by_rank[i % len(by_rank)][i // len(by_rank)] for i in range(len(video_batches(videos)))]
    return [
        [np.concatenate(parts) for parts in zip(*of_batches, strict=True)] for of_batches in zip(*in_order, strict=True)
    ]
