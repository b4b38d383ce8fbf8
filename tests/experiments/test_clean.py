"""Leftovers of stopped runs are listed, and deleted by name."""

import os
import sys
import time
from pathlib import Path

import pytest

from mofore.errors import UserError
from mofore.experiments.clean import main
from mofore.utils.scratch import try_lock

Out = pytest.CaptureFixture[str]


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Leftovers of three runs, each 2 MB and 3 hours old, and a folder without a lock, which is no leftover."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    folder = tmp_path / ".scratch"
    for name in ("download", "pretrain/3f2a", "pretrain/3fff"):
        (folder / name).mkdir(parents=True)
        for file, size in (("lock", 0), ("last.pt", 2_000_000)):
            (folder / name / file).write_bytes(bytes(size))
            os.utime(folder / name / file, (time.time() - 3 * 3600,) * 2)
    (folder / "extract_frames").mkdir()
    return folder


def clean(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(sys, "argv", ["clean", *names])
    main()


def left(scratch: Path) -> list[str]:
    return sorted(str(file.parent.relative_to(scratch)) for file in scratch.rglob("last.pt"))


def test_the_list_has_name_size_age_and_use(scratch: Path, monkeypatch: pytest.MonkeyPatch, capsys: Out) -> None:
    with try_lock(scratch / "pretrain/3f2a"):
        clean(monkeypatch)
    assert capsys.readouterr().out.splitlines() == [
        "download: 2.0 MB, 3.0 hours old",
        "pretrain/3f2a: 2.0 MB, 3.0 hours old, in use",
        "pretrain/3fff: 2.0 MB, 3.0 hours old",
    ]
    assert left(scratch) == ["download", "pretrain/3f2a", "pretrain/3fff"]


def test_no_leftovers_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Out) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    clean(monkeypatch)
    assert capsys.readouterr().out == "no leftovers\n"


@pytest.mark.parametrize(
    ("names", "rest"),
    [
        (["pretrain"], ["download"]),
        (["pretrain/"], ["download"]),
        (["pretrain/3f2"], ["download", "pretrain/3fff"]),
        (["pretrain/3f"], ["download"]),
        (["pretrain/3fff", "download"], ["pretrain/3f2a"]),
    ],
)
def test_deletes_the_named_leftovers(
    names: list[str], rest: list[str], scratch: Path, monkeypatch: pytest.MonkeyPatch, capsys: Out
) -> None:
    clean(monkeypatch, *names)
    assert left(scratch) == rest
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 3 - len(rest)
    assert all(line.startswith("deleted ") and line.endswith(": 2.0 MB, 3.0 hours old") for line in said)


def test_a_stage_name_does_not_match_longer_stage_names(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (scratch / "download").rename(scratch / "pretrain-other")
    clean(monkeypatch, "pretrain")
    assert left(scratch) == ["pretrain-other"]


@pytest.mark.parametrize("name", ["", "/"])
def test_an_empty_name_does_not_delete_all(name: str, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError):
        clean(monkeypatch, name)
    assert len(left(scratch)) == 3


def test_leftovers_in_use_are_kept(scratch: Path, monkeypatch: pytest.MonkeyPatch, capsys: Out) -> None:
    with try_lock(scratch / "pretrain/3f2a"):
        clean(monkeypatch, "pretrain")
    assert left(scratch) == ["download", "pretrain/3f2a"]
    assert capsys.readouterr().out.splitlines() == [
        "kept pretrain/3f2a: 2.0 MB, 3.0 hours old, in use",
        "deleted pretrain/3fff: 2.0 MB, 3.0 hours old",
    ]


def test_an_unknown_name_is_a_one_line_error(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=f"^{scratch}/embed: no such leftovers: run `mofore clean`") as caught:
        clean(monkeypatch, "embed")
    assert "\n" not in str(caught.value)
    assert len(left(scratch)) == 3
