"""Decides whether the appearance stream of a two-stream encoder belongs in the embeddings of these videos.

What moves alike may look alike: swimmers in pools, riders on meadows. Then appearance helps to tell what happens. Or it
does not: anybody can jump in front of any wall. Then appearance only says where and of whom a video is, and drowns
what the motion stream says. No label is needed to tell the two cases apart: in the first one, the two streams agree
about which videos are alike.

Measured by mutual nearest neighbours, as in "The Platonic Representation Hypothesis" (Huh et al., 2024), but across
groups, since videos of one recording look and move alike in any case.

Shapes: V videos, E dimensions of an embedding, K neighbours, N clips or forecasts, D feature dimensions, P projection
dimensions.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from mofore.config import STREAMS
from mofore.embedding.geometry import unit
from mofore.embedding.store import ClipEmbeddings, FloatArray, read_clip_embeddings
from mofore.splits import sample_rows, these_or_all
from mofore.utils.files import write_json

NEIGHBOURS = 10
MIN_AGREEMENT = 3.0  # times chance
MAX_VIDEOS = 4096  # limits the time: all pairs are compared


def agreement(a_VE: FloatArray, b_VE: FloatArray, group_V: npt.NDArray[np.str_]) -> float:
    """How much oftener than by chance two embeddings agree on the nearest neighbours of a video, in other groups.

    Args:
        a_VE, b_VE: two embeddings of the same videos; they may differ in E.
        group_V: group of each video.

    Returns:
        Share of common neighbours divided by its expected value if neighbours were drawn at random: 1 is chance. 0 if
        no video has so many videos of other groups that it could reach MIN_AGREEMENT.
    """
    _, group, sizes = np.unique(group_V, return_inverse=True, return_counts=True)
    others_V = len(group_V) - sizes[group]
    scored_V = others_V >= NEIGHBOURS * MIN_AGREEMENT
    if not scored_V.any():
        return 0.0
    same_VV = group[:, None] == group[None, :]
    near_a_VK, near_b_VK = _neighbours(a_VE, same_VV), _neighbours(b_VE, same_VV)
    common_V = (near_a_VK[:, :, None] == near_b_VK[:, None, :]).any(axis=2).sum(axis=1)
    expected_V = NEIGHBOURS**2 / others_V[scored_V]
    return float(common_V[scored_V].sum() / expected_V.sum())


def _neighbours(x_VE: FloatArray, same_VV: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Numbers of the NEIGHBOURS nearest videos of other groups, by cosine similarity of standardised features."""
    unit_VE = unit((x_VE - x_VE.mean(axis=0)) / (x_VE.std(axis=0) + 1e-8))
    similarity_VV = unit_VE @ unit_VE.T
    similarity_VV[same_VV] = -np.inf
    return np.argsort(-similarity_VV, axis=1, kind="stable")[:, :NEIGHBOURS]


@dataclass(frozen=True)
class StreamChoice:
    """The streams that are in the embeddings.

    Attributes:
        kept: their numbers in STREAMS.
        agreement: of the two streams on the training videos, see `agreement`; 0: too few videos to tell.
    """

    kept: list[int]
    agreement: float

    def select(self, x: FloatArray) -> FloatArray:
        """The features of the streams that are kept, of both side by side: [..., E] -> [..., E / 2] or [..., E]."""
        parts = np.split(x, len(STREAMS), axis=-1)
        return np.concatenate([parts[stream] for stream in self.kept], axis=-1)

    def select_unit(self, x_NP: FloatArray) -> FloatArray:
        """As `select`, with the part of each stream scaled to length 1: streams count the same in cosine similarity."""
        return self.select(
            np.concatenate([unit(part_NP) for part_NP in np.split(x_NP, len(STREAMS), axis=-1)], axis=-1)
        )

    def __str__(self) -> str:
        if len(self.kept) == len(STREAMS):
            return f"both streams, which agree {self.agreement:.1f} times as often as by chance"
        if not self.agreement:
            return f"{STREAMS[self.kept[0]]} alone: there are too few videos to tell whether the streams agree"
        return f"{STREAMS[self.kept[0]]} alone: the streams agree only {self.agreement:.1f} times as often as by chance"


def choose_streams(blocks: Iterable[FloatArray], group_V: pd.Series, split_V: pd.Series, seed: int) -> StreamChoice:
    """Choose the streams by their agreement on the training videos; on all videos if there are none.

    Args:
        blocks: embeddings of successive videos by both streams, side by side: each [., E].
        group_V, split_V: group and split of each video.
        seed: of the sample of videos that is used, if there are more than MAX_VIDEOS.
    """
    train = np.flatnonzero(these_or_all((split_V == "train").to_numpy()))
    used = sample_rows(train, MAX_VIDEOS, seed)
    motion_VE, appearance_VE = np.split(_rows(blocks, used), len(STREAMS), axis=1)
    found = agreement(motion_VE, appearance_VE, group_V.to_numpy(str)[used])
    return StreamChoice([0, 1] if found >= MIN_AGREEMENT else [0], round(found, 3))


def _rows(blocks: Iterable[FloatArray], wanted: npt.NDArray[np.int64]) -> FloatArray:
    """Rows of all blocks together, by their numbers, which rise."""
    first, found = 0, []
    for x_VE in blocks:
        here = wanted[(wanted >= first) & (wanted < first + len(x_VE))]
        found.append(x_VE[here - first])
        first += len(x_VE)
    return np.concatenate(found)


def write_choice(folder: Path, choice: StreamChoice) -> None:
    """Write `streams.json`."""
    write_json(folder / "streams.json", asdict(choice))


def read_embedded_clips(folder: Path, encoder: str) -> ClipEmbeddings:
    """As `store.read_clip_embeddings`, with the features of the chosen streams only.

    Raises:
        UserError: the file is missing.
    """
    clips, choice = read_clip_embeddings(folder, encoder), read_choice(folder)
    return replace(clips, x_ND=choice.select(clips.x_ND)) if choice else clips


def read_choice(folder: Path) -> StreamChoice | None:
    """Read `streams.json`; None if the encoder has one stream."""
    path = folder / "streams.json"
    return StreamChoice(**json.loads(path.read_text())) if path.exists() else None
