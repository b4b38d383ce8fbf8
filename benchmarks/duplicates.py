"""How many made copies of videos does `mofore duplicates` find, and what else does it name?

    python benchmarks/duplicates.py FOLDER [--videos 50] [--seed 0] [--truth LABELS.csv]

Of videos that are drawn from a folder, copies are made: re-encoded (x264, CRF 35), cropped by a tenth of each side,
mirrored, with 15 frames per second, and the last three at once. Then all videos of the folder and the copies are
embedded, and near-duplicates are looked for. A copy is found if it is named together with its original or with another
copy of it. All other pairs that are named, of originals alone, are counted, too: those with the same bytes; with
--truth, a CSV with columns path and group, those of one group (clips of one recording may show the same) and those of
two groups. A copy that is named with another video is wrong, unless the originals are such a pair. Videos that are
shorter than a clip are not drawn. The last line of the output is JSON.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pandas as pd

from mofore.collection.duplicates import Pair, find_duplicates
from mofore.collection.find import find_videos

KINDS = ("re-encoded", "cropped", "mirrored", "15 fps", "three at once")
LEAST_SECONDS = 1.5


def write_copy(source: Path, target: Path, kind: str) -> None:
    """Write a copy of a video, as MP4."""
    crop, mirror, slow = (kind in (one, KINDS[-1]) for one in KINDS[1:4])
    with av.open(str(source)) as reading, av.open(str(target), "w") as writing:
        video = reading.streams.video[0]
        rate = video.average_rate or Fraction(25)
        new_rate = Fraction(15) if slow and rate > 15 else rate
        out, written = None, 0
        for number, frame in enumerate(reading.decode(video)):
            if number < written * rate / new_rate:
                continue
            image = frame.to_ndarray(format="rgb24")
            height, width, _ = image.shape
            if crop:
                image = image[height // 10 : height - height // 10, width // 10 : width - width // 10]
            if mirror:
                image = image[:, ::-1]
            even = np.ascontiguousarray(image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2], np.uint8)
            if out is None:
                out = writing.add_stream("libx264", rate=new_rate, options={"crf": "35"})
                out.height, out.width, out.pix_fmt = even.shape[0], even.shape[1], "yuv420p"
            writing.mux(out.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
            written += 1
        if out is not None:
            writing.mux(out.encode())


def seconds_of(file: Path) -> float:
    """Length of a video by its header; 0 if it cannot be opened."""
    capture = cv2.VideoCapture(str(file))
    rate = capture.get(cv2.CAP_PROP_FPS)
    return capture.get(cv2.CAP_PROP_FRAME_COUNT) / rate if rate > 0 else 0.0


def name_others(pairs: list[Pair], groups: dict[str, str]) -> Counter[str]:
    """Count pairs of originals by what they have in common."""
    found: Counter[str] = Counter()
    for pair in pairs:
        if pair.same_bytes:
            found["same bytes"] += 1
        elif not groups:
            found["other"] += 1
        else:
            found["one group" if groups[pair.first] == groups[pair.second] else "two groups"] += 1
    return found


def main() -> None:
    """Make copies, embed, look for them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder with videos")
    parser.add_argument("--videos", type=int, default=50, help="number of videos that are copied")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--truth", type=Path, help="CSV with columns path and group, paths relative to it")
    args = parser.parse_args()
    originals = find_videos([args.folder])
    long_enough = [file for file in originals if seconds_of(file) >= LEAST_SECONDS]
    rng = np.random.default_rng(args.seed)
    drawn = [long_enough[n] for n in np.sort(rng.permutation(len(long_enough))[: args.videos])]
    groups = {}
    if args.truth:
        truth = pd.read_csv(args.truth, dtype=str, keep_default_na=False)
        paths = [str((args.truth.absolute().parent / path).resolve()) for path in truth.path]
        groups = dict(zip(paths, truth.group, strict=True))
    with tempfile.TemporaryDirectory() as folder:
        source: dict[str, tuple[Path, str]] = {str(file): (file, "") for file in originals}
        for number, file in enumerate(drawn):
            for at, kind in enumerate(KINDS):
                copy = Path(folder, f"{number:03d}-{at}.mp4")
                write_copy(file, copy, kind)
                source[str(copy)] = file, kind
        table = Path(folder, "t.parquet")
        command = [
            sys.executable,
            "-m",
            "mofore.cli.main",
            "embed",
            str(args.folder),
            folder,
            "--out",
            str(table),
            "-q",
        ]
        subprocess.run(command, check=True)
        result = find_duplicates(table)
    found: set[tuple[Path, str]] = set()
    others = [pair for pair in result.pairs if not source[pair.first][1] and not source[pair.second][1]]
    alike = {frozenset((Path(pair.first), Path(pair.second))) for pair in others}
    wrong = 0
    for pair in result.pairs:
        one, two = source[pair.first], source[pair.second]
        if one[0] == two[0]:
            found |= {one, two}
        elif one[1] or two[1]:
            wrong += frozenset((one[0], two[0])) not in alike
    recall = {kind: sum(kind == made for _, made in found) for kind in KINDS}
    print(f"copies found, of {len(drawn)} each: " + ", ".join(f"{kind} {count}" for kind, count in recall.items()))
    counts = dict(name_others(others, groups))
    print(
        f"pairs of originals: {counts}; pairs of a copy and another video: {wrong}; thresholds {result.threshold:.2f}"
    )
    print(
        json.dumps(
            {"videos": len(originals), "drawn": len(drawn), "found": recall, "originals": counts, "wrong": wrong}
        )
    )


if __name__ == "__main__":
    main()
