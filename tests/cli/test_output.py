"""Results are printed for people on a terminal, and for programs elsewhere."""

import json
from pathlib import Path

import numpy as np
import pytest

from mofore.cli.output import print_json, print_note, print_table

Out = pytest.CaptureFixture[str]


def test_json_is_one_object_that_any_reader_takes(capsys: Out) -> None:
    print_json(
        {"a": np.float32(0.5), "b": [float("nan"), np.inf], "c": Path("/x"), "d": np.arange(2), "e": None, "f": True}
    )
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == {"a": 0.5, "b": [None, None], "c": "/x", "d": [0, 1], "e": None, "f": True}


def test_rows_are_separated_by_tabs_in_a_pipe(capsys: Out) -> None:
    print_table(["score", "file"], [[0.5, "a\tb\n.avi"], [1, "c d.avi"]])
    assert capsys.readouterr().out == "0.5\ta\\tb\\n.avi\n1\tc d.avi\n"
    print_table(["score", "file"], [])
    assert capsys.readouterr().out == ""


def test_rows_are_aligned_below_a_head_on_a_terminal(capsys: Out, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    print_table(["score", "file"], [[0.5, "a.avi"], [0.25, "long name.avi"]])
    assert capsys.readouterr().out.splitlines() == ["score  file", "0.5    a.avi", "0.25   long name.avi"]


def test_notes_are_no_part_of_the_result(capsys: Out) -> None:
    print_note("note", quiet=False)
    print_note("other", quiet=True)
    assert capsys.readouterr() == ("", "note\n")
