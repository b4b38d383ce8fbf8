"""Make the demo videos and their split lists, in UCF101's layout and naming."""

import multiprocessing
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import cv2
import numpy as np

from mofore.utils.progress import progress
from mofore.videos.synthetic.actions import ACTIONS
from mofore.videos.synthetic.appearance import HEIGHT, WIDTH, draw_look
from mofore.videos.synthetic.avi import write_avi
from mofore.videos.synthetic.clip import FPS, draw_clip
from mofore.videos.synthetic.draw import draw_frames
from mofore.videos.synthetic.scene import draw_background

SPLITS = (1, 2, 3)


def make_demo(root: Path, groups: int, clips: int, seed: int, workers: int) -> None:
    """Draw all videos to `root/videos` and write the lists to `root/splits`.

    Args:
        root: a folder; made if absent, videos in it are overwritten.
        groups: actors and scenes for each class, 1-99.
        clips: videos for each group, 1-99.
        seed: the bytes of all files follow from it.
        workers: processes; 0 or 1 draws in this one.

    Raises:
        UserError: OpenCV cannot write videos here.
        OSError: the disk is full; `filename` is the file that did not fit.
    """
    names = sorted(ACTIONS)
    for name in names:
        (root / "videos" / name).mkdir(parents=True, exist_ok=True)
    tasks = [
        (root / "videos", index, group, clips, seed) for index in range(len(names)) for group in range(1, groups + 1)
    ]
    for _ in progress(_run(tasks, workers), len(tasks), "drawing", "group"):
        pass
    _write_lists(root / "splits", names, groups, clips)


Task = tuple[Path, int, int, int, int]


def _run(tasks: list[Task], workers: int) -> Iterator[None]:
    if workers <= 1:
        yield from map(_make_group, tasks)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        futures = [pool.submit(_make_group, task) for task in tasks]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _make_group(task: Task) -> None:
    """Draw the videos of one class and group."""
    folder, index, group, clips, seed = task
    name = sorted(ACTIONS)[index]
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index, group)))
    look = draw_look(rng)
    background = draw_background(rng, look)
    for number in range(1, clips + 1):
        clip = draw_clip(np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index, group, number))))
        frames = draw_frames(name, look, background, clip)
        write_avi(folder / video_path(name, group, number), frames, FPS, (WIDTH, HEIGHT), clip.bytes)


def video_path(name: str, group: int, number: int) -> str:
    """Path of a video below the video root, as UCF101 has it."""
    return f"{name}/v_{name}_g{group:02}_c{number:02}.avi"


def _write_lists(folder: Path, names: list[str], groups: int, clips: int) -> None:
    """Class and split lists like UCF101's: split k tests on the k-th quarter of the groups and trains on the rest."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "classInd.txt", (f"{i} {name}" for i, name in enumerate(names, 1)))
    held_out = max(1, groups // 4)
    for split in SPLITS:
        test, train = [], []
        for i, name in enumerate(names, 1):
            for group in range(1, groups + 1):
                tested = (split - 1) * held_out < group <= split * held_out
                for number in range(1, clips + 1):
                    path = video_path(name, group, number)
                    if tested:
                        test.append(path)
                    else:
                        train.append(f"{path} {i}")
        _write(folder / f"testlist{split:02}.txt", test)
        _write(folder / f"trainlist{split:02}.txt", train)


def _write(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="ascii", newline="\r\n")
