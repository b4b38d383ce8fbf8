"""One-line errors: a stage that cannot go on says what is wrong, where, and what to do."""

import errno
import sys
from collections.abc import Callable


class UserError(Exception):
    """Something only the user can mend. The message is one line: where, what is wrong, what to do."""


def run_stage(main: Callable[[], None]) -> None:
    """Run a stage; turn what the user can mend into one line on stderr and exit status 1.

    A full disk is among these, wherever it is hit. Any other exception keeps its traceback: it is ours to mend.
    """
    try:
        main()
    except UserError as error:
        _stop(str(error))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        where = f" writing {error.filename}" if error.filename else ""
        _stop(f"no space left on the device{where}: free some space and run `dvc repro` again")
    except KeyboardInterrupt:
        sys.exit(130)


def _stop(message: str) -> None:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(1)
