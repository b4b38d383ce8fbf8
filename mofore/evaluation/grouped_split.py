"""The split of the videos' source, which keeps groups whole, beside the split `data.split: random`, which does not.

The same embeddings are scored on both. The difference is what a score gains from recordings in both train and test.
"""

from dataclasses import replace

from mofore.catalog import GROUPED_SPLIT
from mofore.embedding.store import Embeddings
from mofore.utils.tables import read_table


def with_grouped_split(videos: Embeddings) -> Embeddings | None:
    """The same embeddings with the groups and the split of the videos' source; None if they have these already.

    Raises:
        UserError: `data/frames/grouped_split.csv` is missing.
    """
    source = read_table(GROUPED_SPLIT).set_index("video").loc[videos.video.tolist()]
    group, split = (source[name].to_numpy().astype(str) for name in ("group", "split"))
    return None if (split == videos.split).all() else replace(videos, group=group, split=split)


def divided_groups(videos: Embeddings, grouped: Embeddings) -> int:
    """How many groups of the source have videos in both splits of `videos`.

    Args:
        videos: with the split in question.
        grouped: the same videos with the groups of their source, as from `with_grouped_split`.
    """
    sides = {side: set(grouped.group[videos.split == side]) for side in ("train", "test")}
    return len(sides["train"] & sides["test"])
