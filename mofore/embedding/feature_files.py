"""Features of a large collection in files, because they do not fit into memory.

Each process appends the features of its batches to files of its own. Then rank 0 reads them in blocks of successive
videos. Files are appended and read, not memory-mapped, so that processes on several nodes may share a network's file
system.

Shapes: V videos of a block; features of a video have any shape.
"""

import math
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from mofore.runtime.distributed import Processes
from mofore.utils.files import writing

FloatArray = npt.NDArray[np.float32]
Batch = list[list[FloatArray]]  # features of the videos of a batch, by job and array; see `inference.Job`
VIDEOS_PER_BLOCK = 4096


@contextmanager
def feature_folders(above: Path, processes: Processes, count: int) -> Iterator[list[Path]]:
    """Empty folders in `above`, one for each `FeatureFiles`; rank 0 makes them, and deletes them at the end."""
    folders = [above / f"parts-{number}" for number in range(count)]
    if processes.is_main:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)  # of a run without DVC that was killed
            folder.mkdir(parents=True)
    processes.any(False)
    try:
        yield folders
    finally:
        if processes.is_main:
            for folder in folders:
                shutil.rmtree(folder, ignore_errors=True)  # network file systems keep files that others have open


class FeatureFiles:
    """Files of float32 numbers in a folder: one for each process, job and array.

    Attributes:
        shapes: of the features of a video, by job and array; known after `write`, on ranks that have batches.
    """

    def __init__(self, folder: Path, processes: Processes) -> None:
        """`folder` exists, is empty, and is seen by all processes."""
        self.folder, self.processes = folder, processes
        self.shapes: list[list[tuple[int, ...]]] = []
        self.batches: list[list[int]] = []

    def write(self, own: Iterable[Batch], batches: list[list[int]]) -> None:
        """Write the features of this process's batches; return when all processes have done so.

        Args:
            own: features of every n-th batch, where n is the number of processes, from that of this process's rank.
            batches: the numbers of the videos of all batches, in order.
        """
        self.batches = batches
        with ExitStack() as opened:
            files: list[list[BinaryIO]] = []
            for batch in own:
                if not files:
                    self.shapes = [[array.shape[1:] for array in arrays] for arrays in batch]
                    files = [
                        [
                            opened.enter_context(writing(self._file(self.processes.rank, job, number)))
                            for number in range(len(arrays))
                        ]
                        for job, arrays in enumerate(batch)
                    ]
                for of_job, arrays in zip(files, batch, strict=True):
                    for file, array in zip(of_job, arrays, strict=True):
                        file.write(np.ascontiguousarray(array, np.float32).tobytes())
        self.processes.any(False)

    def blocks(self, job: int) -> Iterator[list[FloatArray]]:
        """The arrays of a job, in blocks of successive videos; each block has VIDEOS_PER_BLOCK of them, the last fewer.

        To be called on rank 0.
        """
        if not self.batches:
            return
        per_block = max(1, VIDEOS_PER_BLOCK // len(self.batches[0]))
        shapes, count = self.shapes[job], self.processes.count
        with ExitStack() as opened:
            files = [
                [opened.enter_context(self._file(rank, job, number).open("rb")) for number in range(len(shapes))]
                for rank in range(min(count, len(self.batches)))
            ]
            for first in range(0, len(self.batches), per_block):
                numbers = range(first, min(first + per_block, len(self.batches)))
                yield [
                    np.concatenate(
                        [_read(files[batch % count][number], len(self.batches[batch]), shape) for batch in numbers]
                    )
                    for number, shape in enumerate(shapes)
                ]

    def _file(self, rank: int, job: int, number: int) -> Path:
        return self.folder / f"{rank}-{job}-{number}.float32"


def _read(file: BinaryIO, videos: int, shape: tuple[int, ...]) -> FloatArray:
    """The next `videos` rows of a file."""
    return np.fromfile(file, np.float32, videos * math.prod(shape)).reshape(videos, *shape)
