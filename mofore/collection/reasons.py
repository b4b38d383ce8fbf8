"""Reasons of errors of libraries, short enough for a message of one line."""


def first_line(error: Exception) -> str:
    """The first line of an error's text; the name of its class, if it has none."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
