"""What patterns with ** match, also where links lead upwards and folders cannot be read."""

import glob
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mofore.collection.patterns import matches_of
from tests.helpers.video_files import bound_by_permissions

FILES = ("v.mp4", "a/v.mp4", "a/b/v.mp4", "a/b/w.avi", "ab/v.mp4", ".h/v.mp4", "a/.h/v.mp4")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(pattern: str) -> set[str]:
    """Files that match, by their plain path."""
    unreadable: dict[str, str] = {}
    found = {os.path.normpath(path) for path in matches_of(pattern, unreadable) if os.path.isfile(path)}
    assert not unreadable
    return found


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("**/*.mp4", {"v.mp4", "a/v.mp4", "a/b/v.mp4", "ab/v.mp4"}),
        ("a/**/*.mp4", {"a/v.mp4", "a/b/v.mp4"}),
        ("a*/**/v.*", {"a/v.mp4", "a/b/v.mp4", "ab/v.mp4"}),
        ("**/b/*", {"a/b/v.mp4", "a/b/w.avi"}),
        ("**/a/**/[w]*", {"a/b/w.avi"}),
        ("**", {"v.mp4", "a/v.mp4", "a/b/v.mp4", "a/b/w.avi", "ab/v.mp4"}),
        ("a/b/**/v.mp4", {"a/b/v.mp4"}),
        ("gone/**", set()),
        ("a**/v.mp4", {"a/v.mp4", "ab/v.mp4"}),  # ** within a part is *
        ("**/.h/*.mp4", {".h/v.mp4", "a/.h/v.mp4"}),
    ],
)
def test_files(pattern: str, expected: set[str], tree: Path) -> None:
    assert files(pattern) == expected
    assert files(f"{tree}/{pattern}") == {f"{tree}/{name}" for name in expected}


def test_folders_match_too(tree: Path) -> None:
    assert {os.path.normpath(path) for path in matches_of("**/b", {})} == {"a/b"}


def test_links_that_lead_upwards_end(tree: Path) -> None:
    for folder in ("a", "a/b", "ab"):
        for number in range(3):
            (tree / folder / f"up{number}").symlink_to(tree)
            (tree / folder / f"here{number}").symlink_to(".")
    assert files("**/v.mp4") == {"v.mp4", "a/v.mp4", "a/b/v.mp4", "ab/v.mp4"}


def test_a_link_in_a_folder_that_may_be_listed_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with bound_by_permissions():
        Path("listed").mkdir()
        Path("listed/link.mp4").symlink_to("elsewhere")
        Path("listed").chmod(0o444)
        assert list(map(os.path.normpath, matches_of("**/*.mp4", {}))) == ["listed/link.mp4"]
        Path("listed").chmod(0o755)


def test_what_two_ways_lead_to_is_taken_once(tree: Path) -> None:
    (tree / "A").symlink_to("a")
    (tree / "a" / "last").symlink_to("b")
    assert files("**/*.mp4") == {"v.mp4", "a/v.mp4", "a/b/v.mp4", "ab/v.mp4"}
    assert files("**/last/*.mp4") == {"a/last/v.mp4"}, "a link that is named is followed"


@given(st.lists(st.sampled_from(["**", "*", "a", "b", "a*", "v.mp4", "*.mp4", "[!a]*"]), min_size=1, max_size=4))
def test_without_links_it_matches_what_glob_matches(parts: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in FILES:
            (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / name).touch()
        pattern = os.path.join(folder, *parts)
        found = glob.glob(pattern, recursive=True)  # for x/** also x/ where there is no such folder
        expected = {os.path.normpath(path) for path in found if os.path.lexists(path)}
        assert {os.path.normpath(path) for path in matches_of(pattern, {})} == expected
