"""The report's retrieval filmstrips, as short looping clips."""

import base64
from html import escape

from mofore.frames.store import FrameStore
from mofore.report.animation import SECONDS, loop
from mofore.report.filmstrips import NEIGHBOURS, Examples, Retrieved
from mofore.report.markup import details, empty, section
from mofore.report.style import short


def clips_section(examples: Examples, frames: FrameStore) -> str:
    """Every query beside its neighbours, each a clip that plays again and again until it is folded away."""
    if not examples.queries:
        return section("clips", "Retrieval filmstrips", empty(examples.choice))
    number = {name: video for video, name in enumerate(frames.table["video"])}
    how = (
        f"Each test video and the {NEIGHBOURS} training videos that MoFore finds most alike, with their cosine "
        f"similarity: the middle {SECONDS:g} seconds, again and again, at their own speed. {examples.choice}"
    )
    queries = "".join(_query(query, frames, number) for query in examples.queries)
    return section("clips", "Retrieval filmstrips", f"<p>{escape(how)}</p>", details("Clips", queries, unfolded=True))


def _query(query: Retrieved, frames: FrameStore, number: dict[str, int]) -> str:
    tiles = [_tile("asked", "query", "", query.video, query.label, frames, number)]
    for k, (video, label) in enumerate(zip(query.videos_K.tolist(), query.labels_K.tolist(), strict=True)):
        kind, words = "", label
        if query.right_K is not None:
            kind, words = ("right", f"✓ right: {label}") if query.right_K[k] else ("wrong", f"✗ wrong: {label}")
        tiles.append(_tile(kind, words, f"{query.similarity_K[k]:.2f}", video, label, frames, number))
    title = f"<h3>{escape(query.label or query.video)}</h3>"
    return f'<div class="query">{title}<ol class="clips">{"".join(tiles)}</ol></div>\n'


def _tile(
    kind: str, words: str, similarity: str, video: str, label: str, frames: FrameStore, number: dict[str, int]
) -> str:
    moving, still, (width, height) = loop(frames, number[video])
    alt = ", ".join(filter(None, (words, f"video {video}", label and f"class {label}")))
    return (
        f'<li class="{kind}"><picture><source media="(prefers-reduced-motion: reduce)" srcset="{_uri(still)}">'
        f'<img src="{_uri(moving)}" width="{width}" height="{height}" alt="{escape(alt)}"></picture>'
        f"<span><b>{escape(short(words or video, 40))}</b> {similarity}</span></li>"
    )


def _uri(webp: bytes) -> str:
    return f"data:image/webp;base64,{base64.b64encode(webp).decode()}"
