"""Features of uniformly spaced clips, by encoders that no longer learn.

The primary protocol of the field: uniformly spaced clips, globally pooled features of the encoder (no projector),
encoder in eval mode. It crops centres; so does `clip.crop` "center", while "none" lets the encoder see whole frames.
As controls, the same clips can be seen with their frames shuffled, or as a still.

Shapes: B clips of a batch, K clips of a video, T frames, H = W side of a clip, C colours, D feature dimensions.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from mofore.clips.augment import eval_crop, to_input
from mofore.clips.loader import load_batches
from mofore.clips.sampling import clip_offsets, clip_span, uniform_starts
from mofore.config import Clip, Runtime
from mofore.frames.store import FrameStore
from mofore.runtime.device import autocast
from mofore.runtime.distributed import SINGLE, Processes
from mofore.utils.progress import progress

FloatArray = npt.NDArray[np.float32]
View = Literal["ordered", "shuffled", "still"]
VIDEOS_PER_BATCH = 8


def apply_view(frames_BTHWC: Tensor, view: View, seed: int) -> Tensor:
    """The frames of each clip as they are, in a random order of its own, or the middle one repeated; same shape.

    An encoder that scores as well on shuffled frames does not use their order; on a still, not their motion.
    """
    clips, frames = frames_BTHWC.shape[:2]
    if view == "still":
        return frames_BTHWC[:, frames // 2, None].expand_as(frames_BTHWC)
    if view == "shuffled":
        chance_BT = torch.rand(clips, frames, generator=torch.Generator().manual_seed(seed))
        return frames_BTHWC[torch.arange(clips)[:, None], chance_BT.argsort(dim=1)]
    return frames_BTHWC


def view_to_input(frames_BTHWC: Tensor, view: View, input: str, seed: int) -> Tensor:
    """What an encoder is given of clips, [B, C, T, H, W]; one for all, [1, ...], where they have nothing to tell apart.

    That is so for stills of differences: all are 0.
    """
    frames_BTHWC = apply_view(frames_BTHWC, view, seed)
    return to_input(frames_BTHWC[:1] if view == "still" and input == "residual" else frames_BTHWC, input)


class UniformClips(Dataset[npt.NDArray[np.uint8]]):
    """The K uniformly spaced clips of each video: uint8 [K, T, H, W, C]."""

    def __init__(self, videos: FrameStore, clip: Clip, clips: int) -> None:
        self.reader, self.clip, self.clips = videos.reader, clip, clips
        self.offsets, self.span = clip_offsets(clip), clip_span(clip)
        self.n_frames = videos.table.frames.to_numpy()

    def starts(self, video: int) -> npt.NDArray[np.int64]:
        """First video frame of each clip, [K]."""
        return uniform_starts(int(self.n_frames[video]), self.span, self.clips)

    def __len__(self) -> int:
        return len(self.n_frames)

    def video(self, key: int) -> int:
        """Number of the video of a key: the key itself."""
        return key

    def __getitem__(self, video: int) -> npt.NDArray[np.uint8]:
        wanted_KT = self.starts(video)[:, None] + self.offsets
        frames, place_KT = np.unique(wanted_KT, return_inverse=True)  # clips overlap: decode each frame once
        frames_NHWC = eval_crop(self.reader.read(video, frames), self.clip)
        return frames_NHWC[place_KT.reshape(wanted_KT.shape)]


def embed_clips(
    encoders: dict[str, nn.Module],
    samples: UniformClips,
    runtime: Runtime,
    device: torch.device,
    processes: Processes = SINGLE,
    views: dict[str, View] | None = None,
    seed: int = 0,
) -> dict[str, FloatArray]:
    """Embed the clips of every video with several encoders, in one pass over the frames.

    Args:
        encoders: by name, on `device`, in eval mode; each maps [B, C, T, H, W] to [B, D].
        samples: of videos that are each at least one clip long.
        processes: each embeds its share of the batches.
        views: how some encoders, by name, see the clips; the others see them as they are.
        seed: of the order of shuffled frames.

    Returns:
        By encoder's name, float32 [videos, K, D]; in other processes than the first, nothing.
    """
    batches = [list(range(len(samples)))[at : at + VIDEOS_PER_BATCH] for at in range(0, len(samples), VIDEOS_PER_BATCH)]
    mine = batches[processes.rank :: processes.count]
    loaded = load_batches(samples, mine, runtime.workers, device)
    view_of: dict[str, View] = {name: (views or {}).get(name, "ordered") for name in encoders}
    found: list[dict[str, FloatArray]] = []
    for frames_BTHWC in progress(loaded, len(mine), "embed", "batch", hidden=not processes.is_main):
        with torch.inference_mode(), autocast(runtime, device):
            clips_BTHWC = frames_BTHWC.flatten(0, 1).to(device, non_blocking=True)
            seen = {view: view_to_input(clips_BTHWC, view, samples.clip.input, seed) for view in set(view_of.values())}
            features = {
                name: encoder(seen[view_of[name]]).float().expand(len(clips_BTHWC), -1)
                for name, encoder in encoders.items()
            }
        found.append({name: x_BD.cpu().numpy() for name, x_BD in features.items()})
    by_rank = processes.collect(found)
    in_order = [by_rank[i % len(by_rank)][i // len(by_rank)] for i in range(len(batches))] if by_rank else []
    return {
        name: np.concatenate([batch[name] for batch in in_order]).reshape(len(samples), samples.clips, -1)
        for name in encoders
        if in_order
    }
