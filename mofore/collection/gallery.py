"""Write what a search found as one HTML page: the query and each moment as a short loop, with score, time and file.

The page needs no network, no script and no other file. Readers who prefer no motion see one frame of each loop.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from mofore.collection.frame_times import clock
from mofore.collection.moments import read_moment
from mofore.collection.output import check_page, replacing
from mofore.collection.search import Hit
from mofore.errors import UserError
from mofore.report.animation import HEIGHT, RATE, SECONDS, encode_loop, webp_uri
from mofore.report.templates import read_template
from mofore.utils.progress import progress
from mofore.utils.text import counted
from mofore.utils.workers import worker_count

TEMPLATE = Path(__file__).with_name("gallery.html.j2")


@dataclass(frozen=True)
class Tile:
    """A moment on the page.

    Attributes:
        heading: the score, or "query".
        time: from when to when, as text.
        file, name: its path, and the last two parts of it.
        alt: description for screen readers.
        moving_uri, still_uri: the loop and one frame of it as data URIs; empty if it cannot be read.
        width, height: pixels.
        problem: why it cannot be read.
    """

    heading: str
    time: str
    file: str
    name: str
    alt: str
    moving_uri: str = ""
    still_uri: str = ""
    width: int = 0
    height: int = 0
    problem: str = ""


def write_gallery(
    page: Path,
    query: Path,
    start_s: float | None,
    end_s: float | None,
    hits: Sequence[Hit],
    about: str = "",
    quiet: bool = False,
) -> None:
    """Write the gallery of a search.

    Args:
        page: HTML file to write; its folder is made if need be.
        query: the video that was searched with.
        start_s, end_s: the part of it; None: from the start, to the end.
        hits: what `search` found.
        about: a sentence for the head of the page, such as which table was searched. Plain text.
        quiet: show no progress.

    Raises:
        OSError: the page cannot be written; the error has its name.
    """
    check_page(page)
    asked = query.absolute(), start_s or 0.0, end_s
    moments = [asked, *((Path(hit.file), hit.start_s, hit.end_s) for hit in hits)]
    headings = ["query", *(f"{hit.score:.2f}" for hit in hits)]
    names = ["/".join(file.parts[-2:]) for file, _, _ in moments]
    with ThreadPoolExecutor(worker_count(-1)) as pool:
        made = pool.map(_tile, moments, headings, names)
        tiles = list(progress(made, len(moments), "gallery", "moment", hidden=quiet))
    html = read_template(TEMPLATE).render(
        title=f"Moments like {query.name}",
        about=f"{about} Score: cosine similarity, 1 at most; 0 is usual for two videos of the table.".strip(),
        query=tiles[0],
        found=f"{counted(len(hits), 'moment')} found, the best first",
        tiles=tiles[1:],
    )
    with replacing(page) as file:
        file.write(html.encode("utf-8", "replace"))  # a path may have bytes that are no text


def _tile(moment: tuple[Path, float, float | None], heading: str, name: str) -> Tile:
    file, start_s, end_s = moment
    time = f"{clock(start_s)} to {clock(end_s)}" if end_s is not None else f"from {clock(start_s)}"
    what = heading if heading == "query" else f"score {heading}"
    tile = Tile(heading, time, str(file), name, alt=f"{what}: {name}, {time}")
    middle = start_s if end_s is None else max(start_s, (start_s + end_s - SECONDS) / 2)
    try:
        pictures = read_moment(file, middle, min(middle + SECONDS, end_s or middle + SECONDS), RATE, HEIGHT)
    except UserError as error:
        return replace(tile, problem=str(error).removeprefix(f"{file}: "))
    moving, still = encode_loop([Image.fromarray(picture) for picture in pictures], round(1000 / RATE))
    height, width, _ = pictures[0].shape
    return replace(tile, moving_uri=webp_uri(moving), still_uri=webp_uri(still), width=width, height=height)
