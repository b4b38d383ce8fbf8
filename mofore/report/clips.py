"""The report's retrieval examples as short looping clips.

Shapes: K neighbours.
"""

from dataclasses import dataclass

from mofore.frames.store import FrameStore
from mofore.report.animation import SECONDS, looping_clip, webp_uri
from mofore.report.queries import NEIGHBOURS, Examples, Retrieved
from mofore.report.style import shorten


@dataclass(frozen=True)
class Tile:
    """A looping clip of one video, with its caption.

    Attributes:
        css_class: "asked" for the query; "right" or "wrong" for a neighbour; empty without labels.
        caption: text below the clip.
        similarity: cosine similarity to the query, two decimals; empty for the query.
        moving_uri, still_uri: the animation, and one frame of it for readers who prefer no motion, as data URIs.
        width, height: pixels.
        alt: description for screen readers.
    """

    css_class: str
    caption: str
    similarity: str
    moving_uri: str
    still_uri: str
    width: int
    height: int
    alt: str


@dataclass(frozen=True)
class QueryClips:
    """One query: its class or name, its own clip first, then its neighbours, nearest first."""

    title: str
    tiles: list[Tile]


@dataclass(frozen=True)
class ClipsSection:
    """All queries, and how to read them; without queries, `how_to_read` says why there are none."""

    how_to_read: str
    queries: list[QueryClips]


def clips_section(examples: Examples, frames: FrameStore) -> ClipsSection:
    """Make the looping clips of every query and its neighbours.

    Args:
        examples: the queries and their neighbours.
        frames: holds every video of the examples, found by name.
    """
    if not examples.queries:
        return ClipsSection(examples.choice, [])
    video_index = {name: index for index, name in enumerate(frames.table["video"])}
    how_to_read = (
        f"Each test video and the {NEIGHBOURS} training videos that MoFore finds most alike, with their cosine "
        f"similarity: the middle {SECONDS:g} seconds, again and again, at their own speed. {examples.choice}"
    )
    return ClipsSection(how_to_read, [_query_clips(query, frames, video_index) for query in examples.queries])


def _query_clips(query: Retrieved, frames: FrameStore, video_index: dict[str, int]) -> QueryClips:
    tiles = [_tile("asked", "query", "", query.video, query.label, frames, video_index)]
    for k, (video, label) in enumerate(zip(query.videos_K.tolist(), query.labels_K.tolist(), strict=True)):
        css_class, words = "", label
        if query.right_K is not None:
            css_class, words = ("right", f"✓ right: {label}") if query.right_K[k] else ("wrong", f"✗ wrong: {label}")
        tiles.append(_tile(css_class, words, f"{query.similarity_K[k]:.2f}", video, label, frames, video_index))
    return QueryClips(query.label or query.video, tiles)


def _tile(
    css_class: str,
    words: str,
    similarity: str,
    video: str,
    label: str,
    frames: FrameStore,
    video_index: dict[str, int],
) -> Tile:
    moving, still, (width, height) = looping_clip(frames, video_index[video])
    return Tile(
        css_class=css_class,
        caption=shorten(words or video, 40),
        similarity=similarity,
        moving_uri=webp_uri(moving),
        still_uri=webp_uri(still),
        width=width,
        height=height,
        alt=", ".join(filter(None, (words, f"video {video}", label and f"class {label}"))),
    )
