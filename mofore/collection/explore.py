"""Writes one HTML page to look through a collection: health, map, clusters, and each video with those nearest to it.

The page needs no network and no other file. It works with tens of thousands of videos: the browser gets their pictures
as text, and makes images only of those that it shows. This module computes; `explore.html.j2` is the page, `explore.js`
what it does. No name of a file can run as a script: the page's policy permits `explore.js` only, by its hash.

Shapes: V videos, D feature dimensions, K nearest videos.
"""

import base64
import hashlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from mofore.collection.clusters import Cluster, directions, find_clusters
from mofore.collection.health import EMPTY_MEANS, STATIC_MEANS, Health, common_folder, health, short_names
from mofore.collection.output import check_page, replacing
from mofore.collection.table import VIDEO, Collection, read_collection
from mofore.evaluation.nearest import nearest
from mofore.report.embedding_map import lay_out
from mofore.report.templates import read_template
from mofore.utils.text import counted

TEMPLATE, SCRIPT = (Path(__file__).with_name(f"explore.{suffix}") for suffix in ("html.j2", "js"))
MAX_VIDEOS = 30_000  # videos on the page
NEAREST = 8
PICTURE_BYTES = 36e6  # of all pictures; a third more as text
SMALLER = ((48, 75), (40, 65), (32, 50), (24, 40))  # short side and JPEG quality, tried in turn if they take more
SAMPLE = 256  # pictures by which their size is estimated
SEED = 0


def explore(table: Path, out: Path, duplicates: bool = True, quiet: bool = False) -> None:
    """Write the page.

    The same table gives the same page. 20,000 videos take minutes, mostly for the map (t-SNE on one core). Of more than
    MAX_VIDEOS, evenly spaced ones are shown; the health is that of all.

    Args:
        table: of `mofore embed`.
        out: HTML file to write.
        duplicates: whether to look for near-duplicates, too; it may take longer than all else.
        quiet: show no progress.

    Raises:
        UserError: the table is missing, is no table of `mofore embed`, or has no video with an embedding.
        OSError: the page cannot be written; the error has its name.
    """
    check_page(out)
    videos = read_collection(table, VIDEO, picture=True)
    if len(videos) > MAX_VIDEOS:
        videos = videos.select(np.linspace(0, len(videos) - 1, MAX_VIDEOS).astype(np.int64))
    found = health(table, duplicates, quiet)
    u_VD = directions(videos.x_NE)
    clusters = find_clusters(u_VD)
    script = SCRIPT.read_text("utf-8")
    html = read_template(TEMPLATE).render(
        title=f"{counted(len(videos), 'video')} in {counted(len(clusters), 'cluster')}",
        folder=common_folder(videos.rows.file.tolist()),
        table=table.name,
        encoder=videos.recipe.encoder,
        summary=found.size(),
        shown=len(videos),
        health=found,
        short_names=short_names([*found.not_embedded, *videos.rows.file]),
        data=_data(videos, u_VD, clusters, found),
        pictures=Markup("\n".join(_pictures(videos.rows.picture.tolist()))),  # base64 needs no escaping
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    with replacing(out) as file:
        file.write(html.encode())


def _data(videos: Collection, u_VD: npt.NDArray[np.float32], clusters: list[Cluster], found: Health) -> dict[str, Any]:
    """What `explore.js` reads, by videos' numbers: columns of all videos, clusters, and what health found."""
    rows = videos.rows
    number = {file: video for video, file in enumerate(rows.file)}
    xy_V2 = lay_out(u_VD, SEED)
    xy_V2 = (xy_V2 - xy_V2.min(axis=0)) / np.maximum(np.ptp(xy_V2, axis=0), 1e-9)
    near_VK, similarity_VK = _others(*nearest(u_VD, u_VD, NEAREST + 1))
    names = short_names(rows.file.tolist())
    copied = dict.fromkeys(file for pair in found.duplicates or () for file in pair)
    findings = [
        ("truncated", "only the first part of the file could be read", found.truncated),
        ("near-empty", EMPTY_MEANS, found.empty),
        ("static", STATIC_MEANS, found.static),
        ("near-duplicate", "each shows the same as another", copied),
    ]
    return {
        "folder": common_folder(rows.file.tolist()),
        "name": [names[file] for file in rows.file],
        "reason": rows.reason.fillna("").tolist(),
        "seconds": _rounded(rows.end_s - rows.start_s, 2),
        "fps": _rounded(rows.fps, 2),
        "size": [f"{width} x {height}" for width, height in zip(rows.width, rows.height, strict=True)],
        "motion": _rounded(rows.motion, 2),
        "contrast": _rounded(rows.contrast, 1),
        "x": _rounded(xy_V2[:, 0], 4),
        "y": _rounded(xy_V2[:, 1], 4),
        "near": near_VK.tolist(),
        "similarity": _rounded(similarity_VK, 2),
        "clusters": [{"videos": c.rows.tolist(), "homogeneity": round(c.homogeneity, 2)} for c in clusters],
        "copies": [(number[a], number[b]) for a, b in found.duplicates or () if a in number and b in number],
        "findings": [
            {"what": what, "means": means, "videos": [number[file] for file in files if file in number]}
            for what, means, files in findings
        ],
    }


def _rounded(values: npt.ArrayLike, digits: int) -> Any:
    """Numbers for JSON, which has none that are not finite: they become 0."""
    return np.nan_to_num(np.asarray(values, np.float64), posinf=0, neginf=0).round(digits).tolist()


def _others(
    near_VK: npt.NDArray[np.int64], similarity_VK: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Neighbours without the video itself, or without the last of them if it is not there, behind equal ones."""
    videos, k = near_VK.shape
    drop_VK = near_VK == np.arange(videos)[:, None]
    drop_VK[~drop_VK.any(axis=1), -1] = True
    return near_VK[~drop_VK].reshape(videos, k - 1), similarity_VK[~drop_VK].reshape(videos, k - 1)


def _pictures(jpegs: list[bytes | None]) -> list[str]:
    """Pictures as base64, made smaller if they are too large together; an empty text for none."""
    some = [jpeg or b"" for jpeg in jpegs[:: max(1, len(jpegs) // SAMPLE)]]
    for side, quality in ((0, 0), *SMALLER):
        size = np.mean([len(_shrink(jpeg, side, quality)) for jpeg in some])
        if size * len(jpegs) <= PICTURE_BYTES:
            break
    return [base64.b64encode(_shrink(jpeg or b"", side, quality)).decode() for jpeg in jpegs]


def _shrink(jpeg: bytes, side: int, quality: int) -> bytes:
    """A JPEG with this short side in pixels; unchanged for 0."""
    if not jpeg or not side:
        return jpeg
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        return b""
    scale = side / min(image.shape[:2])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
