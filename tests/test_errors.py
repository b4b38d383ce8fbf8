"""How run_stage reports errors."""

import errno

import pytest

from mofore.errors import UserError, run_stage


def raising(error: BaseException) -> None:
    raise error


def test_a_user_error_is_printed_in_one_line_with_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run_stage(lambda: raising(UserError("a.csv: line 3:\n no such video")))
    assert stop.value.code == 1
    assert capsys.readouterr().err == "error: a.csv: line 3: no such video\n"


def test_a_full_disk_is_reported_in_one_line_that_names_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run_stage(lambda: raising(OSError(errno.ENOSPC, "No space left on device", "data/x.bin")))
    assert stop.value.code == 1
    assert capsys.readouterr().err.startswith("error: no space left on the device writing data/x.bin: free some space")


def test_bugs_keep_their_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run_stage(lambda: raising(ZeroDivisionError()))
    with pytest.raises(PermissionError):
        run_stage(lambda: raising(PermissionError(errno.EACCES, "Permission denied", "x")))
