"""Progress bars and messages on stderr."""

import io
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr

import pytest

from mofore.utils.progress import progress, progress_bytes, tell


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@contextmanager
def on_terminal() -> Iterator[Terminal]:
    """Collect what is written to stderr, which claims to be a terminal."""
    with redirect_stderr(Terminal()) as terminal:
        yield terminal


def test_items_pass_through_and_the_bar_starts_at_those_already_done() -> None:
    with on_terminal() as terminal:
        assert list(progress(iter("abc"), total=10, what="decoding", unit="video", done=7)) == ["a", "b", "c"]
    first = terminal.getvalue().split("\r")[1]
    assert first.startswith("decoding:  70%")
    assert "7/10" in first


def test_nothing_is_shown_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress("abc", 3, "decoding", "video")) == ["a", "b", "c"]
    with progress_bytes(100, 0, "downloading") as bar:
        bar.update(100)
    assert capsys.readouterr() == ("", "")


def test_a_hidden_bar_shows_nothing_on_a_terminal() -> None:
    with on_terminal() as terminal:
        assert list(progress("abc", 3, "decoding", "video", hidden=True)) == ["a", "b", "c"]
    assert terminal.getvalue() == ""


def test_bytes_are_shown_in_units_and_count_from_those_already_done() -> None:
    with on_terminal() as terminal, progress_bytes(total=4_000_000, done=1_000_000, what="downloading") as bar:
        assert bar.n == 1_000_000
        bar.update(3_000_000)
        assert bar.n == bar.total == 4_000_000
    assert "downloading:  25%" in terminal.getvalue()
    assert "1.00M/4.00M" in terminal.getvalue()


def test_a_message_goes_to_stderr_on_a_line_of_its_own() -> None:
    with on_terminal() as terminal:
        for item in progress("ab", 2, "decoding", "video"):
            tell(f"skipped {item}")
    lines = terminal.getvalue().split("\n")
    assert [line.rpartition("\r")[2] for line in lines if "skipped" in line] == ["skipped a", "skipped b"]
