"""The report's last section: what was run, on what, with what."""

import hashlib
import platform
from dataclasses import asdict
from html import escape
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cv2
import pandas as pd
import yaml

import mofore
from mofore.config import Params
from mofore.frames.store import USABLE
from mofore.report.markup import details, scrolling_table, section
from mofore.report.results import Results
from mofore.utils.text import counted

ENCODER = Path("data/model/encoder.safetensors")
PACKAGES = ("torch", "torchvision", "dvc", "numpy", "scikit-learn", "pandas", "matplotlib")
MOST_BAD = 50  # videos named in the page


def run_section(results: Results, params: Params) -> str:
    """Parameters, videos, versions and times, as HTML.

    Only what the results follow from: no date, and of the machine no more than the time that training took.
    """
    return section(
        "run",
        "What was run",
        _times(results),
        _videos(results),
        _classes(results),
        _bad(results),
        _params(params),
        _versions(),
    )


def _times(results: Results) -> str:
    p = results.pretrain
    words = (
        f"Training took {p['seconds']:,.0f} s: {p['clips_per_second']:,.0f} clips a second, {p['data_wait']:.1%} of "
        f"the time spent waiting for data; {counted(int(p['videos']), 'training video')}, "
        f"{counted(int(p['videos_too_short']), 'more', 'more')} too short for a pair of clips."
    )
    return f"<p>{escape(words)}</p>"


def _videos(results: Results) -> str:
    usable = results.videos[results.videos["status"].isin(USABLE)]
    rows = []
    for name, side in (("training", usable[usable["split"] == "train"]), ("test", usable[usable["split"] == "test"])):
        lengths = side["frames"]
        rows.append(
            [
                name,
                f"{len(side):,}",
                f"{(side['label'] != '').sum():,}",
                f"{side.loc[side['label'] != '', 'label'].nunique():,}",
                f"{side['group'].nunique():,}",
                f"{lengths.median():.0f}<small>{lengths.min():.0f} to {lengths.max():.0f}</small>"
                if len(side)
                else "\N{EN DASH}",
                escape(_sizes(side)),
            ]
        )
    head = ["side", "usable videos", "labelled", "classes", "groups", "frames, median", "size in pixels"]
    return scrolling_table("Both sides of the split.", head, rows, "numbers")


def _sizes(videos: pd.DataFrame) -> str:
    sizes = (videos["width"].astype(int).astype(str) + " x " + videos["height"].astype(int).astype(str)).value_counts()
    if len(sizes) > 1:
        return f"{sizes.index[0]} and {counted(len(sizes) - 1, 'other')}"
    return str(sizes.index[0]) if len(sizes) else "\N{EN DASH}"


def _classes(results: Results) -> str:
    usable = results.videos[results.videos["status"].isin(USABLE) & (results.videos["label"] != "")]
    if usable.empty:
        return ""
    rows = [
        [
            escape(str(label)),
            *(f"{(of_class['split'] == side).sum():,}" for side in ("train", "test")),
            f"{of_class['group'].nunique():,}",
        ]
        for label, of_class in usable.groupby("label")
    ]
    table = scrolling_table("Usable videos.", ["class", "training videos", "test videos", "groups"], rows, "numbers")
    return details(f"{counted(len(rows), 'class', 'classes')}", table)


def _bad(results: Results) -> str:
    bad = results.videos.loc[results.videos["status"] != "ok", ["video", "status", "reason"]]
    bad = pd.concat([bad, results.too_short[["video", "reason"]].assign(status="too short")])
    if bad.empty:
        return "<p>Every video found could be read to its end and was long enough.</p>"
    rows = [
        [escape(cell) for cell in row] for row in bad[["video", "status", "reason"]][:MOST_BAD].itertuples(index=False)
    ]
    more = f" The first {MOST_BAD}; all are in data/frames/videos.csv." if len(bad) > MOST_BAD else ""
    return scrolling_table(
        f"{counted(len(bad), 'video')} not used, or not as a whole.{more}", ["video", "", "why"], rows
    )


def _params(params: Params) -> str:
    sections = asdict(params)
    del sections["runtime"]  # of the machine: changes no result
    text = yaml.safe_dump(sections, sort_keys=False, allow_unicode=True)
    return details("Parameters: params.yaml, without the machine's section runtime", f"<pre>{escape(text)}</pre>")


def _versions() -> str:
    names = [f"Python {platform.python_version()}", f"MoFore {mofore.__version__}", f"OpenCV {cv2.__version__}"]
    for package in PACKAGES:
        try:
            names.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            names.append(f"{package} not installed")
    encoder = hashlib.sha256(ENCODER.read_bytes()).hexdigest()[:16] if ENCODER.exists() else "not there"
    return f"<p>Written with {escape(', '.join(names))}.</p><p>Encoder: {ENCODER}, sha256 {encoder}…</p>"
