"""Errors that the user can resolve, printed as one line: what is wrong, where, and what to do."""

import errno
import sys
from collections.abc import Callable


class UserError(Exception):
    """An error that only the user can resolve. The message is one line: where, what is wrong, what to do."""


class StoppedError(Exception):
    """A signal stopped the run after its work was saved.

    The message, if there is one, is one line: how far the run came and how to resume it.

    Args:
        message: may be empty.
        number: of the signal.
    """

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.status = 128 + number  # the exit status that a shell reports for a process ended by this signal


def no_space(error: OSError) -> bool:
    """Return whether the disk is full or the user's disk quota is used up."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def run_stage(main: Callable[[], None]) -> None:
    """Run a stage. Print an error that the user can resolve as one line on stderr, and exit with status 1.

    A full disk counts as such an error, whichever write hits it. Any other exception keeps its traceback, because it
    is a bug in this project. A run stopped by a signal exits with the status of that signal.
    """
    try:
        main()
    except UserError as error:
        _exit_with_error(str(error))
    except OSError as error:
        if not no_space(error):
            raise
        where = f" writing {error.filename}" if error.filename else ""
        _exit_with_error(f"no space left on the device{where}: free some space and run `dvc repro` again")
    except StoppedError as stopped:
        if str(stopped):
            print(stopped, file=sys.stderr)
        sys.exit(stopped.status)
    except KeyboardInterrupt:
        sys.exit(130)


def _exit_with_error(message: str) -> None:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(1)
