"""Download one large file: it resumes after a broken connection or a kill, and is verified before use.

A download grows in `FOLDER/SHA256.part`. A later attempt, of this run or another, goes on at its end with a ranged
request. It gets its final name when its sha256 is the one expected, never before.
"""

import hashlib
import os
import re
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import InsecureRequestWarning

from mofore.errors import UserError
from mofore.utils.files import writing
from mofore.utils.progress import progress_bytes, tell

if TYPE_CHECKING:
    from tqdm import tqdm

WAITS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)  # seconds before each retry
SILENCE = 60.0  # seconds without a byte after which a connection counts as broken
CHUNK = 1 << 14  # bytes; small, because a broken connection loses the chunk under way
RETRY_STATUSES = frozenset({408, 425, 429})  # HTTP statuses, besides 5xx, after which a retry may succeed


@dataclass(frozen=True)
class Source:
    """A file on a server, and what it must be.

    Attributes:
        url: http or https.
        bytes: its size.
        sha256: in lower-case hex.
        broken_certificate: many machines cannot verify this server's certificate, because the server leaves out a link
            of the chain. Where that happens the connection is used nonetheless: the sha256 pins the content, so whoever
            sends it cannot change a bit of it.
    """

    url: str
    bytes: int
    sha256: str
    broken_certificate: bool = False


class _BrokenError(Exception):
    """An attempt failed for a reason that may pass; the message gives it."""


def fetch(source: Source, folder: Path, waits: Sequence[float] = WAITS, silence: float = SILENCE) -> Path:
    """Download a file, resuming an earlier download of it, and verify it.

    Args:
        source: the file.
        folder: where it is kept; made if absent.
        waits: seconds before each retry, at least one. After as many retries in a row without a new byte it gives up.
        silence: seconds without a byte after which a connection counts as broken.

    Returns:
        `folder/SHA256.suffix`, with the suffix of the URL.

    Raises:
        UserError: the server cannot be reached, or has not the file, or another one. What has come is kept, unless it
            is known to be wrong.
        OSError: the disk is full; carries the file's name.
    """
    done = folder / f"{source.sha256}{PurePosixPath(urlsplit(source.url).path).suffix}"
    if done.exists():
        return done
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{source.sha256}.part"
    _complete(source, part, waits, silence)
    if not _verified(source, part):
        # A server may have swapped its file between two resumed pieces: one more try, in one piece.
        part.unlink()
        tell(f"download: {source.url}: what came is not the file expected, by its sha256; again from the start")
        _complete(source, part, waits, silence)
        if not _verified(source, part):
            part.unlink()
            raise UserError(
                f"{source.url}: not the file expected, its sha256 is not {source.sha256}: the server has another file "
                "now, or something on the way changes it"
            )
    return part.rename(done)


def _complete(source: Source, part: Path, waits: Sequence[float], silence: float) -> None:
    """Make attempts until `part` has all bytes."""
    part.touch()
    failures = 0
    with progress_bytes(source.bytes, part.stat().st_size, "downloading") as bar:
        while (size := part.stat().st_size) < source.bytes:
            try:
                _attempt(source, part, silence, bar)
            except _BrokenError as broken:
                grown = part.stat().st_size
                failures = 1 if grown > size else failures + 1
                if failures > len(waits):
                    raise UserError(
                        f"{source.url}: {broken}, {failures} times in a row: check the connection and run `dvc repro` "
                        f"again, which resumes after the {grown:,} of {source.bytes:,} bytes that have come"
                    ) from None
                wait = waits[failures - 1]
                tell(f"download: {source.url}: {broken}, at {grown:,} of {source.bytes:,} bytes; again in {wait:g} s")
                time.sleep(wait)


def _attempt(source: Source, part: Path, silence: float, bar: "tqdm[NoReturn]") -> None:
    """Request the bytes that `part` lacks, and append them.

    Bytes that come a second time are written over themselves, so `part` never shrinks.
    """
    size = part.stat().st_size
    with _get(source, size, silence) as response:
        start = _first_byte(source, size, response)
        with writing(part, "r+b") as file:
            file.seek(start)
            for chunk in _chunks(response):
                file.write(chunk)
                bar.update(file.tell() - bar.n)
                if file.tell() >= source.bytes:
                    break  # a server that sends ever more would fill the disk
    if part.stat().st_size < source.bytes:
        raise _BrokenError("the server ended early")


def _get(source: Source, size: int, silence: float) -> requests.Response:
    headers = {"Accept-Encoding": "identity"}  # or a range would be one of compressed bytes
    if size:
        headers["Range"] = f"bytes={size}-"
    try:
        return requests.get(source.url, headers=headers, stream=True, timeout=silence)
    except requests.exceptions.SSLError as error:
        if not source.broken_certificate:
            raise _BrokenError(_reason(error)) from None
        reason = _reason(error)
    except requests.RequestException as error:
        raise _BrokenError(_reason(error)) from None
    tell(f"download: {source.url}: {reason}; going on without it, since the file's sha256 is known and will be checked")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InsecureRequestWarning)
            return requests.get(source.url, headers=headers, stream=True, timeout=silence, verify=False)
    except requests.RequestException as error:
        raise _BrokenError(_reason(error)) from None


def _first_byte(source: Source, size: int, response: requests.Response) -> int:
    """Offset in the file of the first byte of the answer.

    Raises:
        _BrokenError: no bytes of this file come now.
        UserError: none ever will.
    """
    status = response.status_code
    content_range = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
    if status == 206 and content_range:
        start, total = int(content_range[1]), content_range[2]
    elif status == 200:  # the whole file, also when a range was asked for: not every server knows ranges
        start, total = 0, response.headers.get("Content-Length", "an unknown number of")
    elif status in (206, 416) or status >= 500 or status in RETRY_STATUSES:
        raise _BrokenError(f"the server answers {status} {response.reason}")
    else:
        raise UserError(f"{source.url}: the server answers {status} {response.reason}: the file is not there any more")
    if total != str(source.bytes) or start > size:
        # An error page, say. Written over what has come, it would spoil that.
        raise _BrokenError(f"the server offers {total} bytes from {start} on, not {source.bytes} from {size} on")
    return start


def _chunks(response: requests.Response) -> Iterator[bytes]:
    try:
        yield from response.iter_content(CHUNK)
    except requests.RequestException as error:
        raise _BrokenError(_reason(error)) from None


def _reason(error: BaseException) -> str:
    """The root cause of an exception of requests, whose own text is long and says little."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error) or type(error).__name__


def _verified(source: Source, part: Path) -> bool:
    with part.open("rb") as file:
        os.fsync(file.fileno())  # the name will vouch for the content, also after a power cut
        return hashlib.file_digest(file, "sha256").hexdigest() == source.sha256
