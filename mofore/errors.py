"""One-line errors: a stage that cannot go on says what is wrong, where, and what to do."""

import errno
import sys
from collections.abc import Callable


class UserError(Exception):
    """Something only the user can mend. The message is one line: where, what is wrong, what to do."""


class StoppedError(Exception):
    """A signal stopped the work after it was saved. The message, if any, is one line: where it stands, how to go on."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.status = 128 + number  # as a shell reports a process that this signal ended


def no_space(error: OSError) -> bool:
    """Is the disk full, or the user's share of it?"""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def run_stage(main: Callable[[], None]) -> None:
    """Run a stage; turn what the user can mend into one line on stderr and exit status 1.

    A full disk is among these, wherever it is hit. Any other exception keeps its traceback: it is ours to mend.
    """
    try:
        main()
    except UserError as error:
        _stop(str(error))
    except OSError as error:
        if not no_space(error):
            raise
        where = f" writing {error.filename}" if error.filename else ""
        _stop(f"no space left on the device{where}: free some space and run `dvc repro` again")
    except StoppedError as stopped:
        if str(stopped):
            print(stopped, file=sys.stderr)
        sys.exit(stopped.status)
    except KeyboardInterrupt:
        sys.exit(130)


def _stop(message: str) -> None:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(1)
