"""The split of the videos' source, which keeps groups whole, beside the split `data.split: random`, which does not.

The same embeddings are scored on both. The difference is what a score gains from recordings in both train and test.
"""

from collections.abc import Callable
from dataclasses import replace

from mofore.catalog import GROUPED_SPLIT
from mofore.embedding.store import Embeddings, train_test
from mofore.splits import groups_on_both_sides
from mofore.utils.tables import read_table


def with_grouped_split(videos: Embeddings) -> Embeddings | None:
    """The same embeddings with the groups and the split of the videos' source; None if they have these already.

    Raises:
        UserError: `data/frames/grouped_split.csv` is missing.
    """
    source = read_table(GROUPED_SPLIT).set_index("video").loc[videos.video.tolist()]
    group, split = (source[name].to_numpy().astype(str) for name in ("group", "split"))
    return None if (split == videos.split).all() else replace(videos, group=group, split=split)


def grouped_scores(
    videos: Embeddings, evaluate: Callable[[Embeddings, Embeddings], dict[str, float]], name: str
) -> dict[str, float]:
    """One score of the same embeddings on the split of their source.

    Args:
        videos: with any split.
        evaluate: gives the scores of test videos and training videos, in this order.
        name: of the score, which has a 95 % interval, `name_low` and `name_high`.

    Returns:
        `grouped_NAME` with its interval. Empty if the split is that of the source, or has no labels to score with.
    """
    grouped = with_grouped_split(videos)
    split = grouped and train_test(grouped)
    if not split:
        return {}
    train, test = split
    scores = evaluate(test, train)
    return {f"grouped_{name}{end}": scores[f"{name}{end}"] for end in ("", "_low", "_high")}


def divided_groups(videos: Embeddings, grouped: Embeddings) -> int:
    """How many groups of the source have videos in both splits of `videos`.

    Args:
        videos: with the split in question.
        grouped: the same videos with the groups of their source, as from `with_grouped_split`.
    """
    return len(groups_on_both_sides(grouped.group, videos.split))
