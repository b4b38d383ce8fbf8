"""HMDB51's official splits as the `videos.csv` of a folder: `python -m mofore.videos.hmdb51 VIDEOS SPLITS [1|2|3]`.

VIDEOS holds `CLASS/NAME.avi`, SPLITS holds `CLASS_test_split1.txt` to `..._split3.txt`, with lines `NAME.avi 1`: 1 is
train, 2 is test, 0 is neither and is left out. From
https://serre-lab.clps.brown.edu/resource/hmdb-a-large-human-motion-database/

Names are `MOVIE_CLASS_` and six tags (what is seen, camera, people, view, quality, number of the clip):
`April_09_brush_hair_u_nm_np1_ba_goo_0.avi` is cut from April_09, as is all that starts with this. No official split
has one movie of one class on both sides; but 133 of split 1's 1,352 movies are in train with one class and in test with
another. As groups must not, such a movie makes a group a class.
"""

import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath

from mofore.catalog import Video, write_catalog
from mofore.errors import UserError, run_stage
from mofore.utils.text import counted, some_names
from mofore.videos.folder import VIDEOS_CSV

SIDES = {"0": "", "1": "train", "2": "test"}
TAGS = r"_[a-z]_[a-z]+_np\d+_[a-z]+_[a-z]+_\d+"


def read_splits(splits: Path, split: int) -> list[Video]:
    """The videos of an official split, with the movie as group; where that is on both sides, see `finer_groups`.

    Args:
        splits: the folder of the split files.
        split: 1-3.

    Raises:
        UserError: no such files there, or a line is of another form.
    """
    videos = []
    for file in sorted(splits.glob(f"*_test_split{split}.txt")):
        label = file.name.removesuffix(f"_test_split{split}.txt")
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            if not line.strip():
                continue
            name, _, side = line.strip().rpartition(" ")
            if not name or side not in SIDES:
                raise UserError(f"{file}: line {number}: '{line}' is not of the form NAME.avi 0|1|2")
            movie = re.sub(f"_{re.escape(label)}{TAGS}$", "", PurePosixPath(name).stem)
            videos.append(Video(f"{label}/{name.strip()}", label, movie, SIDES[side]))
    if not videos:
        raise UserError(f"{splits}: holds no CLASS_test_split{split}.txt: give the folder of HMDB51's split files")
    return [video for video in videos if video.split]


def finer_groups(videos: list[Video]) -> tuple[list[Video], int]:
    """Refine groups until each is on one side of the split: the movie, then the movie within a class, then the clip.

    Returns:
        The videos, and how many have a group smaller than their movie.
    """
    movies = [video.group for video in videos]
    finer: list[Callable[[Video], str]] = [lambda video: f"{video.group} {video.label}", lambda video: video.path]
    for group in finer:
        torn = _on_both_sides(videos)
        videos = [replace(video, group=group(video)) if video.group in torn else video for video in videos]
    return videos, sum(video.group != movie for video, movie in zip(videos, movies, strict=True))


def _on_both_sides(videos: Iterable[Video]) -> set[str]:
    sides = defaultdict(set)
    for video in videos:
        sides[video.group].add(video.split)
    return {group for group, found in sides.items() if len(found) > 1}


def write_videos_csv(root: Path, splits: Path, split: int) -> str:
    """Write `videos.csv` into the folder of the videos.

    Returns:
        What was written, on one line.

    Raises:
        UserError: as `read_splits`, or a video is missing.
    """
    videos, in_parts = finer_groups(read_splits(splits, split))
    missing = [video.path for video in videos if not (root / video.path).is_file()]
    if missing:
        raise UserError(
            f"{root}: {len(missing):,} of {counted(len(videos), 'video')} not there: {some_names(missing, 3)}: "
            "give the folder into which all classes were unpacked, as CLASS/NAME.avi"
        )
    write_catalog(videos, root / VIDEOS_CSV)
    train, groups = sum(video.split == "train" for video in videos), {video.group for video in videos}
    return (
        f"{root / VIDEOS_CSV}: split {split}, {counted(len(videos), 'video')} "
        f"(train {train}, test {len(videos) - train}), {counted(len(groups), 'group')}; "
        f"{counted(in_parts, 'video')} of movies that the official split has on both sides: these are "
        "grouped by movie and class"
    )


def main() -> None:
    """The command."""
    match sys.argv[1:]:
        case [root, splits]:
            print(write_videos_csv(Path(root), Path(splits), 1))
        case [root, splits, ("1" | "2" | "3") as split]:
            print(write_videos_csv(Path(root), Path(splits), int(split)))
        case _:
            raise UserError(
                "python -m mofore.videos.hmdb51 VIDEOS SPLITS [1|2|3]: give the two folders, and which split"
            )


if __name__ == "__main__":
    run_stage(main)
