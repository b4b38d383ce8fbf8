"""Text for messages."""

from mofore.utils.text import counted, some_names


def test_some_names_is_one_line() -> None:
    assert some_names(["a", "b\nc"]) == "a, b c"
    assert some_names(list("abcdefg")) == "a, b, c, d, e and 2 more"


def test_counted() -> None:
    assert counted(1, "video") == "1 video"
    assert counted(2345, "class", "classes") == "2,345 classes"
