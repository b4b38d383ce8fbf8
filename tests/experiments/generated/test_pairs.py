"""Packs of generated videos, and the samples and batches made of them."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from mofore.clips.dataset import Sample
from mofore.config import Params
from mofore.experiments.generated.draw import draw
from mofore.experiments.generated.packs import FRAME_STEP, FRAMES, LOOKS, PROGRAMS, SECONDS, SIZE, draw_packs
from mofore.experiments.generated.pairs import FamilySampler, GeneratedPairs
from mofore.experiments.generated.program import random_program
from mofore.frames.store import FrameReader


@pytest.fixture(scope="module")
def packs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packs")
    draw_packs(folder, families=2, seed=7, workers=1)
    return folder


def test_a_pack_has_the_drawn_frames_in_order(packs: Path) -> None:
    reader = FrameReader(packs, np.arange(2 * PROGRAMS * LOOKS) * FRAMES)
    family, number, look = 1, 2, 1
    video = (family * PROGRAMS + number) * LOOKS + look
    program = random_program(
        np.random.default_rng((7, family)), np.random.default_rng((7, family, number + 1)), SECONDS
    )
    rng = np.random.default_rng((7, family, number + 1, look + 1))
    rng.integers(70, 95)  # the quality
    drawn = list(draw(program, rng, FRAMES, SECONDS))
    stored_THWC = reader.read(video, np.array([0, 31, 5]))
    assert stored_THWC.shape == (3, SIZE[1], SIZE[0], 3)
    for stored, t in zip(stored_THWC, (0, 31, 5), strict=True):
        small = cv2.resize(drawn[t], SIZE, interpolation=cv2.INTER_AREA)[..., ::-1]
        assert np.abs(stored.astype(int) - small).mean() < 12, "JPEG is not exact, but another frame differs more"


def test_drawing_again_keeps_finished_packs(packs: Path) -> None:
    before = {file.name: (file.stat().st_mtime_ns, file.read_bytes()) for file in packs.glob("pack-*")}
    index = (packs / "index.npy").read_bytes()
    (packs / "index.npy").unlink()
    draw_packs(packs, families=2, seed=7, workers=1)
    assert {file.name: (file.stat().st_mtime_ns, file.read_bytes()) for file in packs.glob("pack-*")} == before
    assert (packs / "index.npy").read_bytes() == index


def test_samples_follow_from_seed_epoch_and_program(packs: Path, params: Params) -> None:
    pairs = GeneratedPairs(packs, 2, params)
    sample = pairs[3, 5]
    assert isinstance(sample, Sample)
    assert sample.context_THWC.shape == (9, 56, 56, 3)
    assert sample.future_FTHWC.shape == (1, 9, 56, 56, 3)
    assert sample.group == 5 // PROGRAMS
    assert all(np.array_equal(a, b) for a, b in zip(sample, pairs[3, 5], strict=True))
    assert not np.array_equal(sample.context_THWC, pairs[4, 5].context_THWC)


def test_a_sample_has_one_future_whatever_the_parameters_say(packs: Path, params: Params) -> None:
    params.forecast.futures = 3
    sample = GeneratedPairs(packs, 2, params)[3, 5]
    assert sample.future_FTHWC.shape[0] == len(sample.gap_F) == 1


def test_the_future_comes_later_and_the_gap_counts_video_frames(
    packs: Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs, read = GeneratedPairs(packs, 2, params), []

    def spy(video: int, frames: np.ndarray) -> np.ndarray:
        assert (np.diff(frames) == 1).all()
        read.append((video, int(frames[0])))
        return np.zeros((9, 64, 86, 3), np.uint8)

    monkeypatch.setattr(pairs.reader, "read", spy)
    gaps = [int(pairs[epoch, 5].gap_F[0]) for epoch in range(200)]
    context, future = read[::2], read[1::2]
    assert {video for video, _ in read} == {10, 11}
    assert all(a[0] == b[0] for a, b in zip(context, future, strict=True)), "both have the same look"
    starts = [(a[1], b[1]) for a, b in zip(context, future, strict=True)]
    assert gaps == [FRAME_STEP * (b - a - 9) for a, b in starts]
    assert min(gaps) == 0
    assert max(gaps) == FRAME_STEP * (FRAMES - 18)


def test_batches_are_whole_families_and_resume() -> None:
    batches = FamilySampler(families=11, batch_size=8, steps=12, seed=0)
    assert (batches.steps_per_epoch, batches.steps, batches.epochs) == (5, 15, 3)
    every = list(batches)
    for batch in every:
        programs = np.array([program for _, program in batch])
        assert (np.bincount(programs // PROGRAMS)[np.unique(programs // PROGRAMS)] == PROGRAMS).all()
    first = [program for batch in every[:5] for _, program in batch]
    assert len(set(first)) == len(first) == 40, "a family occurs once in an epoch"
    batches.first_step = 7
    assert list(batches) == every[7:]
