"""The report's last section: parameters, videos, and versions of the code and its packages."""

import hashlib
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cv2
import pandas as pd
import yaml

import mofore
from mofore.config import Params
from mofore.frames.store import USABLE
from mofore.report.markup import NO_VALUE, Cell, Table
from mofore.report.results import Results
from mofore.utils.text import counted

ENCODER = Path("data/model/encoder.safetensors")
PACKAGES = ("torch", "torchvision", "dvc", "numpy", "scikit-learn", "pandas", "matplotlib")
MAX_UNUSABLE = 50  # videos listed in the page


@dataclass(frozen=True)
class RunSection:
    """What was run, in plain text and tables.

    Attributes:
        training: duration and speed of pretraining.
        split_table: videos on both sides of the split.
        class_count, class_table: the number of classes and the videos of each; None without labels.
        unusable_table: videos that were not used as a whole, with the reason; None if there are none.
        params_yaml: params.yaml without section `runtime`.
        versions: Python, MoFore and the packages.
        encoder: path and hash of the encoder's weights.
    """

    training: str
    split_table: Table
    class_count: str
    class_table: Table | None
    unusable_table: Table | None
    params_yaml: str
    versions: str
    encoder: str


def run_section(results: Results, params: Params) -> RunSection:
    """Collect parameters, videos and versions.

    Dates and the machine are left out, so that the same results give the same page. The only exception is the
    duration of pretraining.
    """
    class_table = _class_table(results)
    return RunSection(
        training=_training(results),
        split_table=_split_table(results),
        class_count=counted(len(class_table.rows), "class", "classes") if class_table else "",
        class_table=class_table,
        unusable_table=_unusable_table(results),
        params_yaml=_params_yaml(params),
        versions=_versions(),
        encoder=_encoder(),
    )


def _training(results: Results) -> str:
    p = results.pretrain
    return (
        f"Training took {p['seconds']:,.0f} s: {p['clips_per_second']:,.0f} clips a second, {p['data_wait']:.1%} of "
        f"the time spent waiting for data; {counted(int(p['videos']), 'training video')}, "
        f"{counted(int(p['videos_too_short']), 'more', 'more')} too short for a pair of clips."
    )


def _split_table(results: Results) -> Table:
    usable = results.videos[results.videos["status"].isin(USABLE)]
    rows: list[list[Cell | str]] = []
    for name, side in (("training", usable[usable["split"] == "train"]), ("test", usable[usable["split"] == "test"])):
        labelled = side[side["label"] != ""]
        rows.append(
            [
                name,
                f"{len(side):,}",
                f"{len(labelled):,}",
                f"{labelled['label'].nunique():,}",
                f"{side['group'].nunique():,}",
                _range_cell(side["frames"], ".0f"),
                _range_cell(side.loc[side["fps"] > 0, "fps"], "g"),
                _frame_sizes(side),
            ]
        )
    head = [
        "side",
        "usable videos",
        "labelled",
        "classes",
        "groups",
        "frames, median",
        "frames a second, median",
        "size in pixels",
    ]
    return Table("Both sides of the split.", head, rows, "numbers")


def _range_cell(values: "pd.Series[float]", form: str) -> Cell | str:
    """Median, smallest and largest value."""
    if values.empty:
        return NO_VALUE
    return Cell(f"{values.median():{form}}", small=f"{values.min():{form}} to {values.max():{form}}")


def _frame_sizes(videos: pd.DataFrame) -> str:
    """The most common frame size, and how many others there are."""
    sizes = (videos["width"].astype(int).astype(str) + " x " + videos["height"].astype(int).astype(str)).value_counts()
    if len(sizes) > 1:
        return f"{sizes.index[0]} and {counted(len(sizes) - 1, 'other')}"
    return str(sizes.index[0]) if len(sizes) else NO_VALUE


def _class_table(results: Results) -> Table | None:
    usable = results.videos[results.videos["status"].isin(USABLE) & (results.videos["label"] != "")]
    if usable.empty:
        return None
    rows = [
        [
            str(label),
            *(f"{(of_class['split'] == side).sum():,}" for side in ("train", "test")),
            f"{of_class['group'].nunique():,}",
        ]
        for label, of_class in usable.groupby("label")
    ]
    return Table("Usable videos.", ["class", "training videos", "test videos", "groups"], rows, "numbers")


def _unusable_table(results: Results) -> Table | None:
    unusable = results.videos.loc[results.videos["status"] != "ok", ["video", "status", "reason"]]
    unusable = pd.concat([unusable, results.too_short[["video", "reason"]].assign(status="too short")])
    if unusable.empty:
        return None
    rows = unusable[["video", "status", "reason"]][:MAX_UNUSABLE].to_numpy().tolist()
    more = f" The first {MAX_UNUSABLE}; all are in data/frames/videos.csv." if len(unusable) > MAX_UNUSABLE else ""
    return Table(f"{counted(len(unusable), 'video')} not used, or not as a whole.{more}", ["video", "", "why"], rows)


def _params_yaml(params: Params) -> str:
    sections = asdict(params)
    del sections["runtime"]  # settings of the machine, which change no result
    return yaml.safe_dump(sections, sort_keys=False, allow_unicode=True)


def _versions() -> str:
    names = [f"Python {platform.python_version()}", f"MoFore {mofore.__version__}", f"OpenCV {cv2.__version__}"]
    for package in PACKAGES:
        try:
            names.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            names.append(f"{package} not installed")
    return ", ".join(names)


def _encoder() -> str:
    digest = hashlib.sha256(ENCODER.read_bytes()).hexdigest()[:16] if ENCODER.exists() else "not there"
    return f"{ENCODER}, sha256 {digest}…"
