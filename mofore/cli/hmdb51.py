"""`mofore hmdb51`."""

from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = """
mofore hmdb51 /data/hmdb51 /data/hmdb51_splits
mofore hmdb51 /data/hmdb51 /data/hmdb51_splits 2
"""


def hmdb51(
    videos: Annotated[Path, typer.Argument(metavar="VIDEOS", help="The folder of the videos, CLASS/NAME.avi.")],
    splits: Annotated[Path, typer.Argument(metavar="SPLITS", help="The folder of CLASS_test_split1.txt and so on.")],
    split: Annotated[int, typer.Argument(metavar="1|2|3", min=1, max=3, help="The number of the split.")] = 1,
) -> None:
    """Write an official split of HMDB51 as the videos.csv of its folder."""
    from mofore.videos.hmdb51 import write_videos_csv

    print(write_videos_csv(videos, splits, split))
