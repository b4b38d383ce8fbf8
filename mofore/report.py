"""Words for a stage's closing line."""

from collections.abc import Iterable


def name_some(what: str, names: Iterable[str], most: int = 3) -> str:
    """'; 5 too short: a.avi, b.avi, c.avi and 2 more', or nothing if there are no names."""
    listed = [repr(name) if not name.isprintable() else name for name in names]
    if not listed:
        return ""
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return f"; {len(listed)} {what}: {', '.join(listed[:most])}{more}"
