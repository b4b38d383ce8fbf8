"""Makes the demo videos and their split lists, with the layout and names of UCF101."""

import multiprocessing
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import cv2
import numpy as np

from mofore.utils.progress import progress
from mofore.videos.synthetic.actions import ACTIONS
from mofore.videos.synthetic.appearance import HEIGHT, WIDTH, sample_appearance
from mofore.videos.synthetic.avi import write_avi
from mofore.videos.synthetic.clip import FPS, sample_demo_clip
from mofore.videos.synthetic.draw import draw_frames
from mofore.videos.synthetic.scene import draw_background

SPLITS = (1, 2, 3)


def make_demo(root: Path, groups: int, clips: int, seed: int, workers: int) -> None:
    """Draw all videos to `root/videos` and write the split lists to `root/splits`.

    Args:
        root: a folder. It is created if necessary; existing videos in it are overwritten.
        groups: number of groups (actor and scene) per class, 1-99.
        clips: number of videos per group, 1-99.
        seed: determines the bytes of all files.
        workers: number of worker processes; 0 or 1: this process draws the videos.

    Raises:
        UserError: OpenCV cannot write videos on this machine.
        OSError: the disk is full; `filename` is the file that did not fit.
    """
    names = sorted(ACTIONS)
    for name in names:
        (root / "videos" / name).mkdir(parents=True, exist_ok=True)
    tasks = [
        (root / "videos", index, group, clips, seed) for index in range(len(names)) for group in range(1, groups + 1)
    ]
    for _ in progress(_draw_groups(tasks, workers), len(tasks), "drawing", "group"):
        pass
    _write_lists(root / "splits", names, groups, clips)


Task = tuple[Path, int, int, int, int]  # video root, index of the class, group, number of clips, seed


def _draw_groups(tasks: list[Task], workers: int) -> Iterator[None]:
    if workers <= 1:
        yield from map(_draw_group, tasks)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        futures = [pool.submit(_draw_group, task) for task in tasks]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _draw_group(task: Task) -> None:
    """Draw the videos of one group of one class."""
    folder, index, group, clips, seed = task
    name = sorted(ACTIONS)[index]
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index, group)))
    appearance = sample_appearance(rng)
    background = draw_background(rng, appearance)
    for number in range(1, clips + 1):
        clip = sample_demo_clip(np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index, group, number))))
        frames = draw_frames(name, appearance, background, clip)
        write_avi(folder / video_path(name, group, number), frames, FPS, (WIDTH, HEIGHT), clip.file_bytes)


def video_path(name: str, group: int, number: int) -> str:
    """Return the path of a video relative to the video root, named as in UCF101."""
    return f"{name}/v_{name}_g{group:02}_c{number:02}.avi"


def _write_lists(folder: Path, names: list[str], groups: int, clips: int) -> None:
    """Write class and split lists like those of UCF101.

    Split k tests on the k-th quarter of the groups (at least one group) and trains on the others.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write_lines(folder / "classInd.txt", (f"{i} {name}" for i, name in enumerate(names, 1)))
    held_out = max(1, groups // 4)
    for split in SPLITS:
        test, train = [], []
        for i, name in enumerate(names, 1):
            for group in range(1, groups + 1):
                in_test = (split - 1) * held_out < group <= split * held_out
                for number in range(1, clips + 1):
                    path = video_path(name, group, number)
                    if in_test:
                        test.append(path)
                    else:
                        train.append(f"{path} {i}")
        _write_lines(folder / f"testlist{split:02}.txt", test)
        _write_lines(folder / f"trainlist{split:02}.txt", train)


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="ascii", newline="\r\n")
