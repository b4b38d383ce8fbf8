"""Stores generated videos in packs, the format of extracted frames.

Videos come in families. The programs of a family share the setting and differ in the action (see
`program.py`). Each program is drawn with several looks. A video's number is
(family * PROGRAMS + program) * LOOKS + look.
"""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np

from mofore.experiments.generated.draw import draw
from mofore.experiments.generated.program import random_program
from mofore.frames.store import INDEX_ROW
from mofore.utils.files import writing
from mofore.utils.progress import progress

PROGRAMS, LOOKS = 4, 2  # programs of a family, looks of a program
FRAMES = 32  # of a video
FRAME_STEP = 3  # video frames from one stored frame to the next: only frames that clips can use are drawn
FPS = 25  # video frames per second
SECONDS = (FRAMES - 1) * FRAME_STEP / FPS
SIZE = 86, 64  # pixels, width and height, of stored frames
QUALITY = 70, 95  # of their JPEG images: from the first to below the second


def draw_packs(folder: Path, families: int, seed: int, workers: int) -> None:
    """Draw families 0 to `families` - 1 into `folder`, a pack each, and write the index.

    Existing packs are kept. The index comes last; if it exists, all is done.

    Args:
        folder: of the packs and of `index.npy`; created if necessary.
        families: their number.
        seed: decides all videos; packs of another seed must not be in the folder.
        workers: number of processes.
    """
    index = folder / "index.npy"
    if index.exists():
        return
    draw_one = partial(_draw_family, folder, seed)
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        drawn = pool.map(draw_one, range(families), chunksize=4)
        lengths = list(progress(drawn, families, "drawing", "family"))
    rows = np.zeros((families, len(lengths[0]), INDEX_ROW.shape[0]), np.int64)
    rows[..., 0] = np.arange(families)[:, None]
    rows[..., 2] = lengths
    rows[:, 1:, 1] = rows[:, :-1, 2].cumsum(axis=1)
    part = index.with_suffix(".part")
    with writing(part) as file:
        np.save(file, rows.reshape(-1, INDEX_ROW.shape[0]))
    part.rename(index)


def _draw_family(folder: Path, seed: int, family: int) -> list[int]:
    """Write the pack of a family, unless there is one. Returns the length of each JPEG image in it, in bytes."""
    path, lengths = folder / f"pack-{family:05d}.bin", folder / f"lengths-{family:05d}.npy"
    if not lengths.exists():
        images = list(_family_images(seed, family))
        with writing(path) as pack:
            pack.writelines(images)
        with writing(lengths) as file:
            np.save(file, [len(image) for image in images])
    found: list[int] = np.load(lengths).tolist()
    return found


def _family_images(seed: int, family: int) -> Iterator[bytes]:
    for number in range(1, PROGRAMS + 1):
        setting, action = np.random.default_rng((seed, family)), np.random.default_rng((seed, family, number))
        program = random_program(setting, action, SECONDS)
        for look in range(1, LOOKS + 1):
            rng = np.random.default_rng((seed, family, number, look))
            quality = int(rng.integers(*QUALITY))
            for frame in draw(program, rng, FRAMES, SECONDS):
                small = cv2.resize(frame, SIZE, interpolation=cv2.INTER_AREA)
                yield cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
