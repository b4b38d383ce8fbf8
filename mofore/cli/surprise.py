"""`mofore surprise`."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mofore.cli.output import Json, Quiet, print_json, print_note, print_table

if TYPE_CHECKING:
    from mofore.collection.surprise_files import MeasuredVideo

EXAMPLES = """
mofore surprise lecture.mp4
mofore surprise /data/videos --model data/model --out surprise
mofore surprise wide.mp4 --grid 3 --json
"""


def surprise(
    videos: Annotated[str, typer.Argument(metavar="VIDEO|FOLDER", help="A video, or a folder of videos.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="The folder to write to.")] = Path("surprise"),
    model: Annotated[
        Path, typer.Option(metavar="FOLDER", help="A model that was trained, best on videos of this kind.")
    ] = Path("data/model"),
    gap: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            help="From the end of the clip that is known to the start of the clip that is forecast, at least: it is "
            "rounded up, so that clips start whole steps apart.",
        ),
    ] = 0.0,
    step: Annotated[float, typer.Option(metavar="SECONDS", help="Time from one moment to the next.")] = 0.2,
    grid: Annotated[
        int,
        typer.Option(
            min=0, max=3, help="Cells per side of the frame, each forecast by itself; 0: more for larger pictures."
        ),
    ] = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find the moments of a video that a forecast does not expect.

    Needs a trained model, as `dvc repro` leaves in data/model. Writes for each video a CSV with the error at each
    moment, beside persistence and frame difference as controls, and a picture with the frames of the peaks. Prints
    the peaks: file, seconds, and standard deviations above the mean of the video. Of several videos, those that cannot
    be used are named and left out.
    """
    from mofore.collection.surprise_files import measure_videos
    from mofore.utils.text import counted

    found, unusable = measure_videos(videos, out, model, gap, step, grid, quiet)
    if as_json:
        print_json({"out": out, "videos": [_for_json(video) for video in found], "unusable": unusable})
        return
    rows = [(video.file, f"{peak.time_s:.1f}", f"{peak.normalised:+.1f}") for video in found for peak in video.peaks]
    print_table(("file", "seconds", "normalised"), rows)
    for reason in unusable.values():
        print_note(f"left out: {reason}", quiet=False)
    for video in found:
        if video.reason:
            print_note(f"warning: {video.file}: measured as far as it could be read: {video.reason}", quiet=False)
    for note, number in Counter(video.note for video in found if video.note).items():
        print_note(f"warning: {counted(number, 'video')}: {note}", quiet=False)
    gaps = [f"{choose(video.gap_s for video in found):.2f}" for choose in (min, max)]
    print_note(f"surprise: see {out}; gap {' to '.join(dict.fromkeys(gaps))} s", quiet)


def _for_json(video: "MeasuredVideo") -> dict[str, Any]:
    peaks = [{"time_s": peak.time_s, "normalised": peak.normalised, "crop": peak.crop} for peak in video.peaks]
    return vars(video) | {"peaks": peaks}
