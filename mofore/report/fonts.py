"""Fonts for class names in any script: DejaVu Sans where it has the letters, otherwise those of the machine."""

import logging
import unicodedata
from collections.abc import Iterable
from functools import cache, lru_cache

from matplotlib.font_manager import FontEntry, fontManager, get_font

FIRST = "DejaVu Sans"  # part of matplotlib, so every machine has it
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # many fonts have no bold letters: no fault
JOINERS = "\u200c\u200d"
NO_LETTERS = ("Last Resort", "LastResort", "Emoji", "Adobe Blank")  # fonts of boxes, pictures or nothing


def families(texts: Iterable[str]) -> list[str]:
    """Font families for matplotlib's `font.family` that together have the letters of these texts, DejaVu Sans first."""
    found = {family: None for letter in sorted(set("".join(texts))) if (family := _family_of(letter))}
    return list({FIRST: None} | found)


def legible(text: str) -> str:
    """A text with the codes of those letters that no installed font has, as in "U+6B66.672F" for two Chinese letters.

    Marks that are not seen by themselves are left out where no font has them, and those that control the text always,
    but for the two that join letters or keep them apart.
    """
    shown, before = "", ""
    for letter in text:
        kind = unicodedata.category(letter)
        if letter.isspace() or (_family_of(letter) and (kind not in ("Cf", "Cc") or letter in JOINERS)):
            shown, before = shown + letter, ""
        elif kind not in ("Cf", "Cc", "Mn"):
            shown, before = f"{shown}{before or 'U+'}{ord(letter):04X}", "."
    return shown


@cache
def _family_of(letter: str) -> str:
    """The family to draw a letter with; an empty string if no font has it."""
    if letter.isascii():
        return FIRST
    for entry in _fonts():
        try:
            font = get_font(entry.fname)
        except (OSError, RuntimeError):  # a broken font file
            continue
        if font.get_char_index(ord(letter)) and font.scalable:
            return entry.name
    return ""


@lru_cache(maxsize=1)
def _fonts() -> list[FontEntry]:
    """The installed fonts, the most suitable ones first."""

    def unsuitable(entry: FontEntry) -> tuple[object, ...]:
        is_regular = entry.style == "normal" and str(entry.weight) in ("400", "normal", "regular", "book")
        return entry.name != FIRST, not is_regular, "Sans" not in entry.name, "Mono" in entry.name, entry.name

    return sorted((one for one in fontManager.ttflist if not one.name.startswith(NO_LETTERS)), key=unsuitable)
