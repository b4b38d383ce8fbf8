"""Write an official split of HMDB51 as the `videos.csv` of a folder.

Command: `python -m mofore.videos.hmdb51 VIDEOS SPLITS [1|2|3]`. The folder VIDEOS has the files `CLASS/NAME.avi`. The
folder SPLITS has the files `CLASS_test_split1.txt` to `CLASS_test_split3.txt`, with lines `NAME.avi 1`. The number 1
means train, 2 means test, and 0 means that the video is not in this split. Source: Kuehne et al., "HMDB: A Large Video
Database for Human Motion Recognition", ICCV 2011;
https://serre-lab.clps.brown.edu/resource/hmdb-a-large-human-motion-database/

A name is `MOVIE_CLASS_` and six tags: visible body parts, camera motion, number of people, viewpoint, quality, number
of the clip. For example, `April_09_brush_hair_u_nm_np1_ba_goo_0.avi` is a clip of the movie April_09. The movie is the
group of the video. No official split has clips of one movie and one class on both sides. But 133 of the 1,352 movies of
split 1 are in train with one class and in test with another. A group must not be on both sides, so such a movie is
divided into one group per class.
"""

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath

from mofore.catalog import Video, write_video_table
from mofore.errors import UserError, run_stage
from mofore.splits import groups_on_both_sides
from mofore.utils.text import counted, some_names
from mofore.videos.folder import VIDEOS_CSV

SIDES = {"0": "", "1": "train", "2": "test"}
TAGS = r"_[a-z]_[a-z]+_np\d+_[a-z]+_[a-z]+_\d+"


def read_splits(splits: Path, split: int) -> list[Video]:
    """Read the videos of an official split. The group is the movie, which may be on both sides: see `divide_groups`.

    Args:
        splits: the folder of the split files.
        split: 1-3.

    Raises:
        UserError: the folder has no file of this split, or a line has another format.
    """
    videos = []
    for file in sorted(splits.glob(f"*_test_split{split}.txt")):
        label = file.name.removesuffix(f"_test_split{split}.txt")
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            if not line.strip():
                continue
            name, _, side = line.strip().rpartition(" ")
            if not name or side not in SIDES:
                raise UserError(f"{file}: line {number}: '{line}' does not have the form NAME.avi 0|1|2")
            movie = re.sub(f"_{re.escape(label)}{TAGS}$", "", PurePosixPath(name).stem)
            videos.append(Video(f"{label}/{name.strip()}", label, movie, SIDES[side]))
    if not videos:
        raise UserError(f"{splits}: has no CLASS_test_split{split}.txt: give the folder of HMDB51's split files")
    return [video for video in videos if video.split]


def divide_groups(videos: list[Video]) -> tuple[list[Video], int]:
    """Divide each group that is on both sides of the split.

    A movie on both sides is divided into one group per class. If such a group is still on both sides, each clip of it
    becomes a group.

    Returns:
        The videos with their new groups, and the number of videos whose group is smaller than their movie.
    """
    movies = [video.group for video in videos]
    smaller_groups: list[Callable[[Video], str]] = [
        lambda video: f"{video.group} {video.label}",
        lambda video: video.path,
    ]
    for smaller_group in smaller_groups:
        on_both_sides = set(groups_on_both_sides([v.group for v in videos], [v.split for v in videos]))
        videos = [
            replace(video, group=smaller_group(video)) if video.group in on_both_sides else video for video in videos
        ]
    return videos, sum(video.group != movie for video, movie in zip(videos, movies, strict=True))


def write_videos_csv(root: Path, splits: Path, split: int) -> str:
    """Write `videos.csv` into the folder of the videos.

    Returns:
        A summary of what was written, on one line.

    Raises:
        UserError: as for `read_splits`, or a video of the split is not in the folder.
    """
    videos, n_divided = divide_groups(read_splits(splits, split))
    missing = [video.path for video in videos if not (root / video.path).is_file()]
    if missing:
        raise UserError(
            f"{root}: {len(missing):,} of {counted(len(videos), 'video')} are missing: {some_names(missing, 3)}: "
            "give the folder into which all classes were unpacked, as CLASS/NAME.avi"
        )
    write_video_table(videos, root / VIDEOS_CSV)
    train, groups = sum(video.split == "train" for video in videos), {video.group for video in videos}
    return (
        f"{root / VIDEOS_CSV}: split {split}, {counted(len(videos), 'video')} "
        f"(train {train}, test {len(videos) - train}), {counted(len(groups), 'group')}; "
        f"{counted(n_divided, 'video')} of movies that the official split has on both sides, "
        "grouped by movie and class"
    )


def main() -> None:
    """Run the command that the module docstring describes."""
    match sys.argv[1:]:
        case [root, splits]:
            print(write_videos_csv(Path(root), Path(splits), 1))
        case [root, splits, ("1" | "2" | "3") as split]:
            print(write_videos_csv(Path(root), Path(splits), int(split)))
        case _:
            raise UserError(
                "python -m mofore.videos.hmdb51 VIDEOS SPLITS [1|2|3]: give the two folders and the number of the split"
            )


if __name__ == "__main__":
    run_stage(main)
