"""Label a collection from a few labels: `mofore sort`.

The classifier of few_labels.py learns from the features of videos: of the whole frame and of the cells of a grid. They
are standardised over all videos of the table, for which no label is needed, and scaled to length 1.

Shapes: N labelled videos, M videos, D dimensions, C classes.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mofore.collection.few_labels import Doubles, Expected, Texts, cross_validate, fit_predict, softmax
from mofore.collection.labels import COLUMNS, GIVEN, NO_LABEL, PREDICTED, Row, check_labels_kept, read_labels
from mofore.collection.output import check_output, replacing
from mofore.collection.table import VIDEO, read_collection, read_videos
from mofore.embedding.geometry import standardise, unit
from mofore.errors import UserError
from mofore.evaluation.linear import fitting
from mofore.utils.text import counted, some_names


@dataclass(frozen=True)
class SortResult:
    """Labels of a whole collection.

    Attributes:
        table: one row a video, columns COLUMNS: `path` is absolute; `probability` of the label, 0 to 1, 1 for a given
            one; `second`, the next probable class; `source`, "given", "predicted", or "none" for a video without
            embedding; `group` as given. Predicted rows come first, the least certain of them at the top.
        expected: None, if there are too few labels to tell.
        temperature: by which log probabilities were divided; 1, if it was not fitted.
        notes: what the user should know, a line each.
    """

    table: pd.DataFrame
    expected: Expected | None
    temperature: float
    notes: list[str]


def sort_collection(table: Path, labels_csv: Path, out: Path | None = None, seed: int = 0) -> SortResult:
    """Label all videos of a table.

    Args:
        table: the Parquet file of `mofore embed`.
        labels_csv: labels of some videos, see `labels.py`.
        out: a CSV to write the result's table to.
        seed: of the folds of cross-validation.

    Raises:
        UserError: a file cannot be read; there are no labels, or of one class only; `out` exists and is not what
            `mofore sort` wrote, or has labels that would be lost.
    """
    if out:
        check_output(out, ".csv", labels_csv)
    listed = read_videos(table)
    rows = read_labels(labels_csv, listed.file.tolist())
    if out:
        check_labels_kept(out, rows, listed.file.tolist())
    videos = read_collection(table, VIDEO, cells=True)
    file_M, embedded = videos.rows.file.to_numpy(str), set(videos.rows.file)
    notes: list[str] = []
    unused = [file for file, row in rows.items() if row.label and file not in embedded]
    if unused:
        notes.append(f"{counted(len(unused), 'label')} of videos without embedding not used: {some_names(unused, 3)}")

    if predicted := sum(row.is_prediction for row in rows.values()):
        notes.append(
            f"{counted(predicted, 'row is', 'rows are')} predicted and no label: write 'given' as the source of those "
            "that you have corrected"
        )

    label_M = np.array([rows[file].label if file in rows else "" for file in file_M])
    given_M = label_M != ""
    classes = np.unique(label_M[given_M])
    if len(classes) < 2:
        what = f"all labels are '{classes[0]}'" if len(classes) else "no video with an embedding has a label"
        raise UserError(f"{labels_csv}: {what}: give labels of two classes or more")
    group_N = np.array([_group(file, rows) for file in file_M[given_M]])
    if not any(rows[file].group for file in file_M[given_M]):
        notes.append("no groups given: if labelled videos share a recording, expect less; name it in a column group")

    x_MD = unit(standardise(videos.x_NE, np.ones(len(file_M), bool)))
    # The weights lie in the span of the labelled videos. In its coordinates the fit is the same and many times faster.
    x_MD = x_MD @ np.linalg.qr(x_MD[given_M].T)[0]
    with fitting():
        expected, temperature, of_expected = cross_validate(x_MD[given_M], label_M[given_M], group_N, classes, seed)
        log_MC = fit_predict(x_MD[given_M], label_M[given_M], x_MD, classes)
    notes += of_expected
    found = _table(file_M, label_M, softmax(log_MC / temperature), classes)
    missing = [file for file in listed.file if file not in embedded]
    found = pd.concat([found, _without_embedding(missing, rows)]) if missing else found
    found["group"] = [rows[file].group if file in rows else "" for file in found.path]
    found = found[list(COLUMNS)].reset_index(drop=True)
    if out:
        with replacing(out) as file:
            file.write(found.to_csv(index=False, float_format="%.4f", lineterminator="\n").encode())
    return SortResult(found, expected, temperature, notes)


def describe(result: SortResult) -> list[str]:
    """The result in a few lines, notes last."""
    source = result.table.source
    given = result.table[source == GIVEN]
    lines = [
        f"{counted(int((source == PREDICTED).sum()), 'video')} labelled from {counted(len(given), 'label')} of "
        f"{counted(given.label.nunique(), 'class', 'classes')}, the least certain first"
    ]
    if expected := result.expected:
        lines.append(
            f"expect {expected.accuracy:.0%} right labels ({expected.low:.0%} to {expected.high:.0%}; by chance "
            f"{expected.chance:.0%}), probabilities off by {expected.calibration_error:.2f}: cross-validation over "
            f"{counted(expected.groups, 'group')} of {counted(expected.videos, 'labelled video')}"
        )
    return lines + [f"note: {note}" for note in result.notes]


def _group(file: str, rows: dict[str, Row]) -> str:
    """The group of a video; one of its own, if none is given. No name of a group has the character NUL."""
    return rows[file].group or f"\0{file}"


def _table(file_M: Texts, label_M: Texts, probability_MC: Doubles, classes: Texts) -> pd.DataFrame:
    """Rows of videos with an embedding: predicted ones, the least certain first, then given ones."""
    order_MC = np.argsort(-probability_MC, axis=1, kind="stable")
    given_M = label_M != ""
    table = pd.DataFrame(
        {
            "path": file_M,
            "label": np.where(given_M, label_M, classes[order_MC[:, 0]]),
            "probability": np.where(given_M, 1.0, probability_MC.max(axis=1)),
            "second": np.where(given_M, "", classes[order_MC[:, 1]]),
            "source": np.where(given_M, GIVEN, PREDICTED),
        }
    )
    table["given"] = given_M
    return table.sort_values(["given", "probability", "path"]).drop(columns="given")


def _without_embedding(files: list[str], rows: dict[str, Row]) -> pd.DataFrame:
    """Rows of videos without embedding, which have a label only if one is given."""
    labels = [rows[file].label if file in rows else "" for file in files]
    return pd.DataFrame(
        {
            "path": files,
            "label": labels,
            "probability": [1.0 if label else np.nan for label in labels],
            "second": "",
            "source": [GIVEN if label else NO_LABEL for label in labels],
        }
    )
