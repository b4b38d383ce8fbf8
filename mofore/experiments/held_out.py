"""Folders that hold the training side of a set only, as links, with a third of its groups held out.

The pipeline takes such a folder as any folder of videos with a `videos.csv`. So it trains on two thirds of the groups
and scores the last third, and never sees the test side. The thirds are the same for every change that is compared.
"""

from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

from mofore.catalog import Video, csv_bytes, write_video_table
from mofore.config import Params
from mofore.errors import UserError
from mofore.splits import group_folds
from mofore.utils.scratch import locked, scratch
from mofore.utils.workers import worker_count
from mofore.videos.folder import VIDEOS_CSV, read_folder
from mofore.videos.grouping import add_groups_and_splits, held_out_fold
from mofore.videos.synthetic.make import make_demo
from mofore.videos.ucf101_splits import read_split

THIRDS = 3
SEED = 0  # of the thirds


def third_of(seed: int) -> int:
    """The third, 1 to 3, that runs with this seed hold out: seeds 1, 2 and 3 hold out each group once."""
    return (seed - 1) % THIRDS + 1


def held_out_folder(name: str, third: int, params: Params) -> Path:
    """Make the folder of a set that holds out a third, unless it is there already.

    Args:
        name: "demo", or a folder of videos, with its own split or with the one that the pipeline gives it.
        third: 1 to 3.
        params: say what the demo is, and which split of the set is taken.

    Returns:
        The absolute path of the folder, which depends on its content.

    Raises:
        UserError: the folder is wrong, or its training side has less than three groups.
    """
    root = _draw_demo(params) if name == "demo" else Path(name).absolute()
    train = [video for video in _videos(name, root, params) if video.split == "train"]
    labels, groups = [video.label for video in train], [video.group for video in train]
    thirds = group_folds(labels, groups, THIRDS, SEED)
    if len(thirds) < THIRDS:
        raise UserError(f"{name}: its training side has less than {THIRDS} groups: give a larger set")
    videos = [
        replace(video, split="test" if held_out else "train")
        for video, held_out in zip(train, thirds[third - 1], strict=True)
    ]
    return _link(root, videos)


def _videos(name: str, root: Path, params: Params) -> list[Video]:
    fold = held_out_fold(params.data.split)
    if name == "demo":
        return read_split(root.parent / "splits", fold)
    return add_groups_and_splits(read_folder(root).videos, root, fold, params.seed)


def _draw_demo(params: Params) -> Path:
    demo = params.demo
    folder = scratch("held_out") / f"demo-{demo.seed}-{demo.groups}-{demo.clips}"
    with locked(folder, "drawing the demo"):
        if not (folder / "drawn").exists():
            make_demo(folder, demo.groups, demo.clips, demo.seed, worker_count(params.runtime.workers))
            (folder / "drawn").touch()
    return folder / "videos"


def _link(root: Path, videos: list[Video]) -> Path:
    """A folder with a link to each of these videos of `root`, and with their `videos.csv`."""
    key = blake2b(csv_bytes([[str(root)], *((v.path, v.label, v.group, v.split) for v in videos)]), digest_size=12)
    folder = scratch("held_out") / key.hexdigest()
    with locked(folder, "linking these videos"):
        if not (folder / "videos" / VIDEOS_CSV).exists():
            for video in videos:
                link = folder / "videos" / video.path
                link.parent.mkdir(parents=True, exist_ok=True)
                link.unlink(missing_ok=True)
                link.symlink_to(root / video.path)
            write_video_table(videos, folder / "videos" / VIDEOS_CSV)
    return folder / "videos"
