"""`mofore surprise`."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from mofore.cli.output import Json, Quiet, print_json, print_note, print_table
from mofore.errors import UserError

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
            metavar="SECONDS", help="From the end of the clip that is known to the start of the clip that is forecast."
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
    the peaks: file, seconds, and standard deviations above the mean of the video.
    """
    from mofore.collection.find import find_videos
    from mofore.collection.surprise import surprise as measure
    from mofore.collection.surprise_chart import draw_surprise
    from mofore.utils.files import write_csv
    from mofore.utils.progress import progress

    files = find_videos([videos])
    folders = [os.path.abspath(videos)] if os.path.isdir(videos) else [str(file.parent) for file in files]
    top = Path(os.path.commonpath(folders))
    found: list[dict[str, Any]] = []
    unusable: dict[str, str] = {}
    for file in progress(files, len(files), "surprise", "video", hidden=quiet):
        try:
            of_video = measure(file, model, gap, step, grid)
        except UserError as error:
            if len(files) == 1:
                raise
            unusable[str(file)] = str(error)
            continue
        target = out / file.relative_to(top)
        table, picture = (target.with_name(target.name + suffix) for suffix in (".csv", ".png"))
        write_csv(table, of_video.table, "%.5g")
        draw_surprise(of_video, file.name, picture)
        peaks = [{"time_s": peak.time_s, "normalised": peak.normalised, "crop": peak.crop} for peak in of_video.peaks]
        facts = {"gap_s": of_video.gap_s, "reason": of_video.reason}
        found.append({"file": file, "table": table, "picture": picture, "peaks": peaks, **facts})
    if not found:
        raise UserError(f"{videos}: none of {len(files)} videos can be used: {next(iter(unusable.values()))}")
    if as_json:
        print_json({"out": out, "videos": found, "unusable": unusable})
        return
    rows = [
        (video["file"], f"{peak['time_s']:.1f}", f"{peak['normalised']:+.1f}")
        for video in found
        for peak in video["peaks"]
    ]
    print_table(("file", "seconds", "normalised"), rows)
    for reason in unusable.values():
        print_note(f"left out: {reason}", quiet)
    print_note(f"surprise: see {out}", quiet)
