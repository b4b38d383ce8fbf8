"""The command `mofore`: its verbs, and how each of them ends.

A verb is a module of this room with a function of its name, whose docstring and EXAMPLES are its help. Verbs import the
library when they run, because torch and pandas take seconds, and `--help` should not.

Exit status: 0; 1 for an error that the user can resolve, which is one line on stderr; 2 for a command line that is
wrong; 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP; 141 if the reader of the output has gone, as in
`mofore search ... | head`.
"""

import mofore.runtime.openmp  # noqa: F401 # must come before anything that imports torch

# isort: split
import errno
import inspect
import io
import os
import re
import signal
import sys
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer
import typer.core

from mofore import __version__
from mofore.cli import (
    ablations,
    check,
    clean,
    compare,
    doctor,
    duplicates,
    embed,
    explore,
    export,
    hmdb51,
    presets,
    search,
    sort,
    surprise,
    sweep,
)
from mofore.errors import UserError, no_space, run_stage
from mofore.utils.text import shown

VERBS: dict[str, tuple[ModuleType, ...]] = {  # by the panel of `mofore --help` that lists them
    "Your own videos": (embed, search, duplicates, sort, surprise, explore, export),
    "Experiments": (presets, check, hmdb51, sweep, ablations, compare),
    "Machine": (doctor, clean),
}
PLACE_ERRORS = {  # what is wrong with a place that the user has named
    *(errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.EFBIG),
}
READER_GONE = 128 + 13  # as a shell reports a program that SIGPIPE ended


class Verbs(typer.core.TyperGroup):
    """The verbs, and what becomes of errors of the system."""

    def invoke(self, ctx: Any) -> Any:
        """Run the verb that the command line names."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it ends
            raise typer.Exit(READER_GONE) from None
        except OSError as error:
            if no_space(error):
                where = f"{error.filename}: " if error.filename else ""
                raise UserError(f"{where}no space left on the device: free some space and run this again") from None
            if error.filename is None or error.errno not in PLACE_ERRORS:
                raise
            raise UserError(f"{error.filename}: {error.strerror}: name another place, or allow it") from None
        return result


def _help(verb: ModuleType, function: Any) -> str:
    """What a verb does, and examples. Lines are as long as the terminal is wide."""
    text = re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.getdoc(function) or "")
    return "\n  ".join([f"{text}\n\nExamples:", *verb.EXAMPLES.strip().splitlines()])


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"mofore {__version__}")
        raise typer.Exit


def _mofore(
    _: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Learn from video without labels."""


def make_app() -> typer.Typer:
    """The command with all its verbs."""
    app = typer.Typer(
        name="mofore",
        cls=Verbs,
        no_args_is_help=True,
        rich_markup_mode="rich",  # without it there are no panels
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog="mofore VERB --help says more and has examples.",
    )
    app.callback()(_mofore)
    for panel, verbs in VERBS.items():
        for verb in verbs:
            name = verb.__name__.rpartition(".")[2]
            function = getattr(verb, name)
            app.command(name, help=_help(verb, function), rich_help_panel=panel)(function)
    return app


def _prepare() -> None:
    """Check and set what no verb can do without.

    Raises:
        UserError: the working folder is gone, or an argument is not UTF-8, unless it is a file or folder to embed.
    """
    if sys.stdout is None:  # closed, as by `>&-`
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 # for as long as this process lives
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names may have letters that a terminal does not know
    try:
        Path.cwd()
    except FileNotFoundError:
        raise UserError("this folder has been deleted: change to another one") from None
    embeds = sys.argv[1:2] == ["embed"]  # which leaves such files out, as a shell may have expanded a pattern to them
    for word in sys.argv[1:]:
        is_utf8 = word.isascii() or not any("\udc80" <= letter <= "\udcff" for letter in word)
        if not is_utf8 and not (embeds and os.path.lexists(word)):
            raise UserError(f"{shown(word)}: this name is not UTF-8: rename the file or folder")


class Stop:
    """Ends a verb that a signal stops, so that its temporary files are removed on the way out."""

    def __init__(self) -> None:
        self.status = 0  # that the process shall end with, as soon as a signal has come

    def heed(self) -> None:
        """From now on, end when SIGINT, SIGTERM or SIGHUP comes, unless the parent ignores it, as nohup does."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                signal.signal(number, self._raise)

    def _raise(self, number: int, _: object) -> None:
        self.status = 128 + number
        raise SystemExit(self.status)  # which no `except Exception` of a library takes for its own


def main() -> None:
    """Run the verb that the command line names."""
    run_stage(_prepare)
    stop = Stop()
    stop.heed()
    try:
        run_stage(make_app())
    finally:
        if stop.status:  # else Python's own errors would show, as TypeError if a signal comes during an ImportError
            sys.exit(stop.status)


if __name__ == "__main__":
    main()
