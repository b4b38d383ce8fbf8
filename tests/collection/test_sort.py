"""Labels for a whole collection from a few: what is read, what is predicted, and what is said of it beforehand."""

import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mofore.collection.few_labels import calibration_error
from mofore.collection.labels import read_labels
from mofore.collection.sort import describe, sort_collection
from mofore.errors import UserError
from tests.helpers.collections import write_collection

FILES = ["/videos/a/one.avi", "/videos/a/two.avi", "/videos/b/one.avi", "/videos/b/caf\u00e9 noir.mp4"]


def labels(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    """A CSV with this text."""
    path = folder / "labels.csv"
    path.write_bytes(text.encode(encoding))
    return path


def collection(
    folder: Path, per_class: int, noise: float, classes: int = 3, per_group: int = 1, group_spread: float = 0.0
) -> tuple[Path, pd.DataFrame]:
    """A table of videos with classes, and what is true of them: path, label, group."""
    rng = np.random.default_rng(0)
    label = np.repeat([f"class {number}" for number in range(classes)], per_class)
    group = np.array([f"g{number // per_group}" for number in range(len(label))])
    x_VD = np.repeat(rng.normal(size=(classes, 24)), per_class, axis=0) + noise * rng.normal(size=(len(label), 24))
    x_VD += group_spread * rng.normal(size=(len(label), 24))[np.unique(group, return_inverse=True)[1]]
    files = [f"/videos/{number:04}.avi" for number in range(len(label))]
    write_collection(folder / "table.parquet", files, x_VD.astype(np.float32))
    return folder / "table.parquet", pd.DataFrame({"path": files, "label": label, "group": group})


def test_a_path_may_be_written_in_many_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [*FILES, str(tmp_path / "x/here.avi"), str(tmp_path / "work/there.avi")]
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    cafe = unicodedata.normalize("NFD", "caf\u00e9 noir.mp4")
    path = labels(tmp_path, f"path,label\n/videos/a/one.avi,p\nb/one.avi,q\nx/here.avi,r\nthere.avi,s\n {cafe} ,t\n")
    found = {file: row.label for file, row in read_labels(path, files).items()}
    assert found == {FILES[0]: "p", FILES[2]: "q", files[4]: "r", files[5]: "s", FILES[3]: "t"}


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("label;path;Group\n caf\u00e9 ;two.avi;g\n;;\n", "utf-8-sig"),
        ("path\tnote\tlabel\tgroup\ntwo.avi\ta, b\tcafe\u0301\tg\n", "utf-8"),
        ('path,label,group,source\r\n"two.avi","caf\u00e9",g,given\r\nb/one.avi,other,,predicted\r\n', "utf-8"),
        ("path,label,group\ntwo.avi,caf\u00e9,\ntwo.avi,,g\ntwo.avi,caf\u00e9,g\n", "utf-8"),
    ],
)
def test_spreadsheets_write_csv_in_many_ways(tmp_path: Path, text: str, encoding: str) -> None:
    found = read_labels(labels(tmp_path, text, encoding), FILES)
    assert {file: (row.label, row.group) for file, row in found.items() if row.label} == {FILES[1]: ("caf\u00e9", "g")}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("file,label\na,b\n", "path and label are needed"),
        ("path,label,label\na,b,c\n", "each once"),
        ("path,label\ntwo.avi\n", "line 2: 1 cells for 2 columns"),
        ('path,label\n"two.avi,x\n', "not valid CSV"),
        ("path,label\n,x\n", "line 2: the path is empty"),
        ("path,label\ntwo.avi,x\none.avi,y\n", "line 3: 'one.avi' may be /videos/a/one.avi, /videos/b/one.avi"),
        ("path,label\nthree.avi,x\nwo.avi,x\n", r"2 videos are not in the table: three.avi \(line 2\), wo.avi"),
        ("path,label\ntwo.avi,x\na/two.avi,y\n", "line 3: 'a/two.avi' has label 'y', but 'x' in line 2"),
        ("path,label,group\ntwo.avi,x,g\ntwo.avi,x,h\n", "has group 'h', but 'g' in line 2"),
        ("path,label\ntwo.avi,x\0\n", "NUL"),
    ],
)
def test_what_is_wrong_with_a_csv_is_said_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        read_labels(labels(tmp_path, text), FILES)
    assert str(error.value).startswith(str(tmp_path / "labels.csv"))
    assert "\n" not in str(error.value)


def test_a_csv_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        read_labels(tmp_path / "labels.csv", FILES)
    with pytest.raises(UserError, match="UTF-8"):
        read_labels(labels(tmp_path, "path,label\ntwo.avi,caf\u00e9\n", "latin-1"), FILES)


def test_every_video_gets_one_row_the_least_certain_first(tmp_path: Path) -> None:
    table, truth = collection(tmp_path, 30, 0.3)
    given = truth.groupby("label").head(3)
    given.to_csv(tmp_path / "labels.csv", index=False)
    result = sort_collection(table, tmp_path / "labels.csv", tmp_path / "out.csv")
    found = result.table
    assert sorted(found.path) == sorted(truth.path)
    assert (found.set_index("path").label.reindex(truth.path) == truth.label.to_numpy()).all()
    predicted = found[found.source == "predicted"]
    assert predicted.index[-1] == len(predicted) - 1  # before the given ones
    assert predicted.probability.is_monotonic_increasing
    assert predicted.probability.between(1 / 3, 1).all()
    assert (predicted.label != predicted.second).all()
    assert set(found[found.source == "given"].path) == set(given.path)
    written = pd.read_csv(tmp_path / "out.csv", keep_default_na=False)
    assert list(written) == ["path", "label", "probability", "second", "source", "group"]
    assert written.path.tolist() == found.path.tolist()


def test_a_video_between_two_classes_is_the_least_certain(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    centre_CD = rng.normal(size=(2, 16))
    x_VD = np.repeat(centre_CD, 10, axis=0) + 0.1 * rng.normal(size=(20, 16))
    x_VD[15] = centre_CD.mean(axis=0)
    write_collection(tmp_path / "t.parquet", [f"/v/{v:02}.avi" for v in range(20)], x_VD.astype(np.float32))
    result = sort_collection(tmp_path / "t.parquet", labels(tmp_path, "path,label\n00.avi,x\n01.avi,x\n10.avi,y\n"))
    assert result.table.path[0] == "/v/15.avi"


def test_what_was_written_can_be_read_again_and_predictions_are_no_labels(tmp_path: Path) -> None:
    table, truth = collection(tmp_path, 10, 0.5)
    truth.groupby("label").head(2).to_csv(tmp_path / "labels.csv", index=False)
    first = sort_collection(table, tmp_path / "labels.csv", tmp_path / "out.csv")
    again = sort_collection(table, tmp_path / "out.csv")
    pd.testing.assert_frame_equal(first.table, again.table)


def test_labels_that_are_in_the_output_only_are_not_lost(tmp_path: Path) -> None:
    table, truth = collection(tmp_path, 6, 0.5)
    truth.groupby("label").head(2).to_csv(tmp_path / "labels.csv", index=False)
    out = tmp_path / "out.csv"
    found = sort_collection(table, tmp_path / "labels.csv", out).table
    sort_collection(table, tmp_path / "labels.csv", out)  # nothing was added
    found.loc[found.source == "predicted", "source"] = ["given", *["predicted"] * 11]
    found.to_csv(out, index=False)
    with pytest.raises(UserError, match=r"out.csv: 1 label or group is only in this file"):
        sort_collection(table, tmp_path / "labels.csv", out)
    found.loc[found.source == "given", "label"] = "class 0"  # another one than in labels.csv
    found.to_csv(tmp_path / "changed.csv", index=False)
    with pytest.raises(UserError, match=r"changed.csv: \d labels or groups are only in this file"):
        sort_collection(table, tmp_path / "labels.csv", tmp_path / "changed.csv")
    result = sort_collection(table, out, tmp_path / "new.csv")
    assert any("11 rows are predicted and no label: write 'given'" in note for note in result.notes)


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda text: text.replace("class 1", "cla\u00dfe").encode("latin-1"), "not UTF-8"),
        (lambda text: text.replace(",given,", ",given,,", 1).encode(), "7 cells for 6 columns"),
        (lambda text: text.replace(",group", ",remark", 1).encode(), "its columns are 'path, label, .* remark'"),
        (lambda text: b"day,rain\n1,2\n", "the columns are 'day, rain'"),
        (lambda text: b"", "is empty"),
    ],
)
def test_an_output_that_cannot_be_read_is_not_replaced(
    tmp_path: Path, harm: Callable[[str], bytes], reason: str
) -> None:
    """It may have labels that were given by hand and saved by a spreadsheet."""
    table, truth = collection(tmp_path, 6, 0.5)
    truth.groupby("label").head(2).to_csv(tmp_path / "labels.csv", index=False)
    out = tmp_path / "out.csv"
    sort_collection(table, tmp_path / "labels.csv", out)
    harmed = harm(out.read_text())
    out.write_bytes(harmed)
    with pytest.raises(UserError, match=rf"out.csv: would be overwritten, but .*{reason}.*write to another") as error:
        sort_collection(table, tmp_path / "labels.csv", out)
    assert "\n" not in str(error.value)
    assert out.read_bytes() == harmed


def test_given_labels_of_videos_that_are_gone_are_kept_and_predictions_are_not(tmp_path: Path) -> None:
    table, truth = collection(tmp_path, 6, 0.5)
    labels_csv, out = tmp_path / "labels.csv", tmp_path / "out.csv"
    truth.groupby("label").head(2).to_csv(labels_csv, index=False)
    found = sort_collection(table, labels_csv, out).table
    found.loc[0, "path"] = "/gone/predicted.avi"
    found.to_csv(out, index=False)
    sort_collection(table, labels_csv, out)
    found.loc[len(found) - 1, "path"] = "/gone/given.avi"
    found.to_csv(out, index=False)
    with pytest.raises(UserError, match=r"1 label or group is only in this file: /gone/given.avi: read it"):
        sort_collection(table, labels_csv, out)


@pytest.mark.parametrize("label", ["another class", "the second"])
def test_a_corrected_label_is_kept_although_its_source_still_says_predicted(tmp_path: Path, label: str) -> None:
    table, truth = collection(tmp_path, 6, 0.5)
    labels_csv, out = tmp_path / "labels.csv", tmp_path / "out.csv"
    truth.groupby("label").head(2).to_csv(labels_csv, index=False)
    found = sort_collection(table, labels_csv, out).table
    found.loc[1, "label"] = str(found["second"][1]) if label == "the second" else label
    found.to_csv(out, index=False)
    corrected = out.read_bytes()
    with pytest.raises(UserError, match=r"line 3: its label is .*, which was not predicted: write given as its source"):
        sort_collection(table, labels_csv, out)
    assert out.read_bytes() == corrected


def test_groups_that_are_in_the_output_only_are_not_lost(tmp_path: Path) -> None:
    table, truth = collection(tmp_path, 6, 0.5)
    given = truth.groupby("label").head(2)
    given.to_csv(tmp_path / "grouped.csv", index=False)
    given.drop(columns="group").to_csv(tmp_path / "plain.csv", index=False)
    sort_collection(table, tmp_path / "grouped.csv", tmp_path / "out.csv")
    with pytest.raises(UserError, match="6 labels or groups are only in this file"):
        sort_collection(table, tmp_path / "plain.csv", tmp_path / "out.csv")


def test_a_file_beside_the_list_is_not_another_of_the_same_name(tmp_path: Path) -> None:
    (tmp_path / "one.avi").touch()
    files = [str(tmp_path / "a/one.avi")]
    with pytest.raises(UserError, match=r"one.avi \(line 2\)"):
        read_labels(labels(tmp_path, "path,label\none.avi,x\n"), files)
    assert list(read_labels(labels(tmp_path, "path,label\na/one.avi,x\n"), files)) == files


def test_few_labels_promise_nothing(tmp_path: Path) -> None:
    table, truth = collection(tmp_path, 20, 0.5)
    truth.groupby("label").head(4).to_csv(tmp_path / "labels.csv", index=False)
    result = sort_collection(table, tmp_path / "labels.csv")
    assert result.expected is None
    assert result.temperature == 1
    assert "too few labels" in describe(result)[-1]


def test_what_is_expected_holds_for_the_other_videos(tmp_path: Path) -> None:
    table, truth = collection(tmp_path, 150, 2.0)
    given = truth.groupby("label").head(50)
    given.to_csv(tmp_path / "labels.csv", index=False)
    result = sort_collection(table, tmp_path / "labels.csv")
    others = result.table[result.table.source == "predicted"].set_index("path")
    hit = (others.label == truth.set_index("path").label.reindex(others.index)).to_numpy()
    expected = result.expected
    assert expected is not None
    assert expected.low - 0.03 < hit.mean() < expected.high + 0.03
    assert 0.4 < expected.low < expected.accuracy < expected.high < 0.99
    assert expected.chance == pytest.approx(1 / 3)
    assert (expected.videos, expected.groups) == (150, 150)
    assert calibration_error(others.probability.to_numpy(), hit) < 0.1
    assert f"expect {expected.accuracy:.0%} right" in describe(result)[1]


def test_videos_of_one_recording_promise_too_much_unless_groups_tell(tmp_path: Path) -> None:
    """Recordings differ much, classes little: others of its recording give a video away, others of its class do not."""
    table, truth = collection(tmp_path, 60, 0.3, per_group=6, group_spread=3.0)
    truth.to_csv(tmp_path / "grouped.csv", index=False)
    truth.drop(columns="group").to_csv(tmp_path / "plain.csv", index=False)
    grouped, plain = (sort_collection(table, tmp_path / f"{name}.csv") for name in ("grouped", "plain"))
    assert grouped.expected is not None
    assert plain.expected is not None
    assert plain.expected.accuracy > 0.95
    assert grouped.expected.accuracy < 0.7
    assert not any("no groups given" in note for note in grouped.notes)
    assert any("no groups given" in note for note in plain.notes)


def test_if_all_are_right_the_interval_still_has_a_width(tmp_path: Path) -> None:
    table, truth = collection(tmp_path, 8, 0.01)
    truth.to_csv(tmp_path / "labels.csv", index=False)
    expected = sort_collection(table, tmp_path / "labels.csv").expected
    assert expected is not None
    assert expected.accuracy == expected.high == 1
    assert 0.7 < expected.low < 0.75  # Wilson: all of 24 / (1 + 10 / 9), by t


def test_a_class_of_one_group_counts_as_wrong(tmp_path: Path) -> None:
    table, truth = collection(tmp_path, 10, 0.01)
    truth.loc[truth.label == "class 0", "group"] = "studio"
    truth.to_csv(tmp_path / "labels.csv", index=False)
    result = sort_collection(table, tmp_path / "labels.csv")
    assert result.expected is not None
    assert result.expected.accuracy == pytest.approx(2 / 3)
    assert any("one group only" in note and "class 0" in note for note in result.notes)


def test_labels_of_videos_without_embedding_are_named(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x_VD = rng.normal(size=(4, 8)).astype(np.float32)
    write_collection(
        tmp_path / "t.parquet", [f"/v/{v}.avi" for v in range(4)], x_VD, unreadable=["/v/a.avi", "/v/b.avi"]
    )
    path = labels(tmp_path, "path,label\n0.avi,x\n1.avi,y\na.avi,x\n")
    result = sort_collection(tmp_path / "t.parquet", path)
    assert any("1 label of videos without embedding" in note and "/v/a.avi" in note for note in result.notes)
    rows = {row.path: (row.label, row.source) for row in result.table.itertuples()}
    assert (rows["/v/a.avi"], rows["/v/b.avi"]) == (("x", "given"), ("", "none"))


@pytest.mark.parametrize(
    ("text", "message"),
    [("path,label\n0.avi,x\n1.avi, x\n", "all labels are 'x'"), ("path,label\n0.avi,\n", "no video with an embedding")],
)
def test_two_classes_are_needed(tmp_path: Path, text: str, message: str) -> None:
    x_VD = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32)
    write_collection(tmp_path / "t.parquet", [f"/v/{v}.avi" for v in range(3)], x_VD)
    with pytest.raises(UserError, match=message):
        sort_collection(tmp_path / "t.parquet", labels(tmp_path, text))
