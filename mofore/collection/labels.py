"""Read a CSV with the labels of a few videos of a collection.

Columns are path and label; group is optional and says which videos belong together (recording, actor, scene). Others do
not count, except `source`: a row whose source is "predicted" is no label, so what `mofore sort` wrote can be corrected,
its source set to "given", and be read again. What a path means: see listing.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mofore.collection.listing import Files, read_rows
from mofore.errors import UserError
from mofore.utils.text import counted, some_names
from mofore.videos.folder import clean

COLUMNS = ("path", "label", "probability", "second", "source", "group")  # that `mofore sort` writes
GIVEN, PREDICTED, NO_LABEL = "given", "predicted", "none"  # values of column `source`


@dataclass(frozen=True)
class Row:
    """What the CSV says of a video: its label and group, empty where it gives none, and the line.

    If the line is a prediction of `mofore sort`, its label is left out.
    """

    label: str
    group: str
    line: int
    is_prediction: bool = False


def read_labels(path: Path, files: Sequence[str]) -> dict[str, Row]:
    """Read the CSV.

    Args:
        path: the CSV, in UTF-8, with commas, semicolons or tabs.
        files: absolute paths of all videos of the collection.

    Returns:
        By file, for the files that the CSV lists.

    Raises:
        UserError: the CSV cannot be read, has wrong columns, names videos that the collection does not have, or gives
            one video two labels or groups.
    """
    found: dict[str, Row] = {}
    unknown: list[str] = []
    collection = Files(files, path)
    for line, cells in read_rows(path, "label"):
        file = collection.find(cells["path"], line)
        if file is None:
            unknown.append(f"{clean(cells['path'])} (line {line})")
            continue
        predicted = clean(cells.get("source", "")).lower() == PREDICTED
        row = Row("" if predicted else clean(cells["label"]), clean(cells.get("group", "")), line, predicted)
        earlier = found.get(file, row)
        for what, one, other in (("label", earlier.label, row.label), ("group", earlier.group, row.group)):
            if one and other and one != other:
                name = clean(cells["path"])
                raise UserError(
                    f"{path}: line {line}: '{name}' has {what} '{other}', but '{one}' in line {earlier.line}: remove "
                    "one of the lines"
                )
        found[file] = Row(row.label or earlier.label, row.group or earlier.group, earlier.line, row.is_prediction)
    if unknown:
        raise UserError(
            f"{path}: {counted(len(unknown), 'video is', 'videos are')} not in the table: {some_names(unknown, 3)}: "
            "correct the paths, remove the lines, or embed these videos"
        )
    return found


def check_labels_kept(out: Path, rows: dict[str, Row], files: Sequence[str]) -> None:
    """Refuse to replace a file that is not what `mofore sort` wrote, or has labels or groups that only it has.

    A label whose source is "predicted" can be told from a prediction, if it was corrected to a class that no label
    names, or to the second most probable one.

    Args:
        out: the file to write; it need not exist.
        rows: what was read, see `read_labels`.
        files: absolute paths of all videos of the collection.

    Raises:
        UserError: it cannot be read, has other columns, or labels or groups that are not in `rows`, also of videos
            that are no longer in the collection.
    """
    if not out.exists():
        return
    collection, lost = Files(files, out), []
    classes = {row.label for row in rows.values() if row.label}
    try:
        for line, cells in read_rows(out, "label"):
            if set(cells) != set(COLUMNS):
                raise UserError(f"{out}: its columns are '{some_names(list(cells), 8)}'")
            is_prediction = clean(cells["source"]).lower() == PREDICTED
            label, group = clean(cells["label"]), clean(cells["group"])
            if is_prediction and (label not in classes or label == clean(cells["second"])):
                raise UserError(
                    f"{out}: line {line}: its label is '{label}', which was not predicted: write {GIVEN} as its source"
                )
            label = "" if is_prediction else label
            read = rows.get(collection.find(cells["path"], line) or "", Row("", "", 0))
            if label not in ("", read.label) or group not in ("", read.group):
                lost.append(clean(cells["path"]))
    except UserError as error:
        reason = str(error).removeprefix(f"{out}: ")
        raise UserError(
            f"{out}: would be overwritten, but is not as `mofore sort` wrote it ({reason}): mend it, or write to "
            "another file"
        ) from None
    if lost:
        what = counted(len(lost), "label or group is", "labels or groups are")
        raise UserError(f"{out}: {what} only in this file: {some_names(lost, 2)}: read it instead, or write to another")
