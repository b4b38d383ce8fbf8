"""The table of a collection: one Parquet file with the embeddings of videos and of windows of them.

`mofore embed` writes it; all other commands read it. A video has a row of kind "window" for each of its windows, then
one of kind "video". Videos are in the order of their paths. Columns:

- `file`: absolute path. `kind`: "video" or "window".
- `start_s`, `end_s`: seconds from the first frame of the video, by its time stamps.
- `motion`: mean absolute difference of successive frames of the clips, in gray levels, 0 to 255.
- `contrast`: standard deviation of gray levels over the pixels of a frame, mean over frames, 0 to 127.5.
- `embedding`: features of the whole frame, float32 [D], mean over clips, as the encoder gives them: not normalised.
  Those of the motion stream come first.
- `cells`: of rows of kind "video" only: features of the cells of a grid, float32 [GRID^2 D].
- `picture`: JPEG of the middle frame, its short side 64 pixels.
- `frames`, `fps`, `width`, `height`, `status`, `reason`, `size`, `modified`: of rows of kind "video" only. `frames` and
  `fps` are those that were read: of a video that was resampled (see `windows`) not those of the file. `status` is "ok",
  "truncated" (its first part is used) or "unreadable"; `reason` says why. `size` is in bytes, `modified` in
  nanoseconds, both of the file.

A video that is unreadable, or shorter than a clip, has a row of kind "video" without embedding, with the reason. The
metadata of the file has under "mofore" a JSON text: the `Recipe`, that is, how embeddings were made.

Shapes: N rows, D feature dimensions, E dimensions of a row's vector.
"""

import itertools
import json
from collections.abc import Container, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mofore.collection.reasons import first_line
from mofore.collection.regroup import regrouped
from mofore.errors import UserError
from mofore.utils.files import writing

FloatArray = npt.NDArray[np.float32]
METADATA = b"mofore"
FORMAT = 1
GRID = 3  # cells per side of the frame, of column `cells`
ROWS_PER_GROUP = 4096  # of the Parquet file
VIDEO, WINDOW = "video", "window"  # values of column `kind`

SCHEMA = pa.schema(
    [
        ("file", pa.string()),
        ("kind", pa.string()),
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
        ("motion", pa.float32()),
        ("contrast", pa.float32()),
        ("embedding", pa.large_list(pa.float32())),
        ("cells", pa.large_list(pa.float32())),
        ("picture", pa.binary()),
        ("frames", pa.int64()),
        ("fps", pa.float64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("size", pa.int64()),
        ("modified", pa.int64()),
    ]
)
VECTORS = ("embedding", "cells")
PLAIN = tuple(name for name in SCHEMA.names if name not in (*VECTORS, "picture"))  # columns that are read by default


@dataclass(frozen=True)
class Recipe:
    """How the embeddings of a table were made. Tables and queries can be compared only if their recipes are equal.

    Attributes:
        encoder: "shipped", or the folder of the encoder, an absolute path.
        encoder_hash: of the encoder's weights and clip parameters.
        window, step: length of a window, and time from one window's start to the next, in seconds.
        clip: the encoder's clip parameters.
        format: version of the columns.
    """

    encoder: str
    encoder_hash: str
    window: float
    step: float
    clip: dict[str, Any]
    format: int = FORMAT

    def same_space(self, other: "Recipe") -> bool:
        """Whether embeddings of both can be compared. Windows may differ."""
        return (self.encoder_hash, self.format) == (other.encoder_hash, other.format)


@dataclass
class Collection:
    """Rows of a table.

    Attributes:
        rows: the plain columns, and `picture` if it was asked for.
        x_NE: a vector for each row: the embedding; beside it, for rows of kind "video", the cells, if asked for.
        recipe: how they were made.
    """

    rows: pd.DataFrame
    x_NE: FloatArray
    recipe: Recipe

    def __len__(self) -> int:
        return len(self.rows)

    def select(self, keep: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> "Collection":
        """Select rows by a boolean mask [N] or by row numbers."""
        return Collection(
            self.rows.iloc[np.arange(len(self))[keep]].reset_index(drop=True), self.x_NE[keep], self.recipe
        )


def read_collection(path: Path, kind: str, cells: bool = False, picture: bool = False) -> Collection:
    """Read the rows of one kind that have an embedding.

    Args:
        path: the Parquet file.
        kind: "video" or "window".
        cells: of kind "video" only: vectors are embedding and cells side by side.
        picture: also read column `picture`.

    Raises:
        UserError: the file is missing, is no table of `mofore embed`, or has no such row.
    """
    recipe = read_recipe(path)
    vectors = VECTORS if cells else VECTORS[:1]
    columns = [*PLAIN, *vectors, *(["picture"] if picture else [])]
    found, parts = [], []
    for table in read_groups(path, columns):  # one by one, so that little more than the result is in memory
        keep_N = (table["kind"].to_numpy() == kind) & table["embedding"].is_valid().to_numpy()
        kept = table.filter(pa.array(keep_N))
        if len(kept):
            parts.append(np.concatenate([to_matrix(kept[name], path) for name in vectors], axis=1))
            found.append(kept.drop_columns(list(vectors)).to_pandas())
    if not found:
        raise no_rows(path, kind)
    return Collection(pd.concat(found, ignore_index=True), np.concatenate(parts), recipe)


def no_rows(path: Path, kind: str) -> UserError:
    """The error for a table without embeddings of a kind."""
    return UserError(f"{path}: has no {kind} with an embedding: see column reason, and embed other videos")


def read_videos(path: Path) -> pd.DataFrame:
    """Read the plain columns of all rows of kind "video", with and without embedding.

    Raises:
        UserError: the file is missing or is no table of `mofore embed`.
    """
    read_recipe(path)
    groups = [SCHEMA.empty_table().select(list(PLAIN))]
    for table in read_groups(path, list(PLAIN)):
        groups.append(table.filter(pa.array(table["kind"].to_numpy() == VIDEO)))
    found: pd.DataFrame = pa.concat_tables(groups).to_pandas()  # windows have no integers, which would become floats
    return found


def read_recipe(path: Path) -> Recipe:
    """Read how a table was made.

    Raises:
        UserError: the file is missing or is no table of `mofore embed`.
    """
    return _recipe(path, _open(path).schema_arrow)


def read_groups(
    path: Path,
    columns: list[str] | None = None,
    dictionary: tuple[str, ...] = (),
    numbers: Container[int] | None = None,
) -> Iterator[pa.Table]:
    """All rows, in the groups of the file.

    Args:
        path: the Parquet file.
        columns: those that are read; None: all.
        dictionary: of these, those that are read as dictionaries.
        numbers: of the groups to read; None: all.

    Raises:
        UserError: the file is missing or damaged.
    """
    file = _open(path, dictionary)
    for number in range(file.num_row_groups):
        if numbers is not None and number not in numbers:
            continue
        try:
            group = file.read_row_group(number, columns)
        except (pa.ArrowException, OSError) as error:
            reason = first_line(error)
            raise UserError(f"{path}: damaged ({reason}): delete it, and run `mofore embed` again") from None
        for name in {"file", "kind"} & set(group.column_names):
            if group[name].null_count:
                raise UserError(f"{path}: damaged (a row without {name}): delete it, and run `mofore embed` again")
        yield group.replace_schema_metadata(None)


def group_starts(path: Path) -> npt.NDArray[np.int64]:
    """Number of the first row of each group of the file, then the number of all rows: [groups + 1].

    Raises:
        UserError: the file is missing or is no Parquet file.
    """
    metadata = _open(path).metadata
    sizes = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    return np.cumsum([0, *sizes])


def groups_with(path: Path, files: Iterable[str]) -> list[int]:
    """Numbers of the groups that may have rows of these files, by the smallest and the largest path of each group.

    Raises:
        UserError: the table is missing or is no Parquet file.
    """
    metadata, column = _open(path).metadata, SCHEMA.get_field_index("file")
    found, wanted = [], list(files)
    for number in range(metadata.num_row_groups):
        range_of = metadata.row_group(number).column(column).statistics
        if range_of is None or not range_of.has_min_max or any(range_of.min <= name <= range_of.max for name in wanted):
            found.append(number)
    return found


def read_rows(path: Path) -> Iterator[tuple[str, pa.Table]]:
    """All rows with all columns: each path of a video with its rows; if they are many, in several parts."""
    for group in read_groups(path):
        names_N = group["file"].to_numpy()
        starts = [0, *(np.flatnonzero(names_N[1:] != names_N[:-1]) + 1).tolist(), len(group)] if len(group) else []
        for first, end in itertools.pairwise(starts):
            yield str(names_N[first]), group.slice(first, end - first)


def to_matrix(lists: pa.ChunkedArray, path: Path) -> FloatArray:
    """A column of vectors as a matrix, [N, D].

    Args:
        lists: the column, all rows valid, at least one.
        path: of the table, for messages.

    Raises:
        UserError: vectors differ in length, or have values that are not finite.
    """
    x_ND: FloatArray
    try:
        x_ND = lists.combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(len(lists), -1)
    except ValueError:
        raise UserError(f"{path}: embeddings differ in length: delete it, and run `mofore embed` again") from None
    if not np.isfinite(x_ND).all():
        raise UserError(f"{path}: an embedding is not finite: delete the table, and run `mofore embed` again")
    return x_ND


def write_table(path: Path, recipe: Recipe, parts: Iterable[pa.Table]) -> None:
    """Write a table from parts, each a number of rows with the columns of SCHEMA; its bytes depend on the rows only.

    The file is written under another name and renamed, so it is never incomplete.

    Raises:
        OSError: the file cannot be written; the error has its name.
    """
    schema = SCHEMA.with_metadata({METADATA: json.dumps(asdict(recipe), sort_keys=True).encode()})
    temporary = path.with_name(path.name + ".part")
    try:
        with writing(temporary) as file, _writer(file, schema) as writer:
            for table in regrouped(parts, ROWS_PER_GROUP):
                writer.write_table(table.replace_schema_metadata(schema.metadata), row_group_size=ROWS_PER_GROUP)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def make_part(rows: dict[str, list[Any]], embedding_ND: FloatArray | None, cells: list[FloatArray | None]) -> pa.Table:
    """Rows of SCHEMA.

    Args:
        rows: the columns other than VECTORS; None where a row has no value.
        embedding_ND: a row for each; None if none has an embedding.
        cells: one for each row.
    """
    count = len(cells)
    embedding = list(embedding_ND) if embedding_ND is not None else [None] * count
    arrays = rows | {"embedding": embedding, "cells": cells}
    return pa.table({field.name: pa.array(arrays[field.name], field.type) for field in SCHEMA}, schema=SCHEMA)


def _writer(file: BinaryIO, schema: pa.Schema) -> pq.ParquetWriter:
    return pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True)  # or damage would go unseen


def _open(path: Path, dictionary: tuple[str, ...] = ()) -> pq.ParquetFile:
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "no such file"
        raise UserError(f"{path}: {what}: make the table with `mofore embed VIDEOS --out {path}`")
    try:
        return pq.ParquetFile(path, read_dictionary=list(dictionary), page_checksum_verification=True)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(
            f"{path}: not a readable Parquet file ({first_line(error)}): give another one, or make it anew"
        ) from None


def _recipe(path: Path, schema: pa.Schema) -> Recipe:
    try:
        found = json.loads((schema.metadata or {})[METADATA])
        if found["format"] != FORMAT:
            raise UserError(f"{path}: written by another version of mofore: run `mofore embed` again, with a new --out")
        recipe = Recipe(**found)
        numbers, texts = (recipe.window, recipe.step), (recipe.encoder, recipe.encoder_hash)
        valid = all(isinstance(number, int | float) for number in numbers)
        valid &= all(isinstance(text, str) for text in texts) and isinstance(recipe.clip, dict)
    except (KeyError, TypeError, ValueError):
        valid = False
    if not valid or not schema.remove_metadata().equals(SCHEMA):
        raise UserError(f"{path}: a Parquet file, but not a table that `mofore embed` wrote: give another one")
    return recipe
