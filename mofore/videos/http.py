"""Download one large file, resume after a broken connection or a kill, and verify the file before use.

The bytes are appended to `FOLDER/SHA256.part`. A later attempt, in the same run or another, requests the rest with an
HTTP range. The file gets its final name only when its sha256 is the expected one.
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
READ_TIMEOUT = 60.0  # seconds without a byte after which a connection counts as broken
CHUNK = 1 << 14  # bytes; small, because a broken connection loses the current chunk
RETRY_STATUSES = frozenset({408, 425, 429})  # HTTP statuses, besides 5xx, after which a retry may succeed


@dataclass(frozen=True)
class Source:
    """A file on a server, with the size and hash that it must have.

    Attributes:
        url: http or https.
        bytes: size of the file.
        sha256: hash of the file in lower-case hex.
        broken_certificate: whether to download even if the server's certificate cannot be verified. Some servers do not
            send their whole certificate chain, so many machines cannot verify it. This is safe, because the sha256
            detects any change to the file.
    """

    url: str
    bytes: int
    sha256: str
    broken_certificate: bool = False


class _TransientError(Exception):
    """An attempt failed, but a retry may succeed; the message gives the reason."""


def fetch(source: Source, folder: Path, waits: Sequence[float] = WAITS, read_timeout: float = READ_TIMEOUT) -> Path:
    """Download a file, or resume an earlier download of it, and verify it.

    Args:
        source: the file to download.
        folder: where to store the file; made if absent.
        waits: seconds to wait before each retry, at least one entry. Gives up after this many retries in a row without
            a new byte.
        read_timeout: seconds without a byte after which a connection counts as broken.

    Returns:
        `folder/SHA256.suffix`, with the suffix of the URL.

    Raises:
        UserError: the server cannot be reached, does not have the file, or has a different one. The bytes received so
            far are kept, unless they are known to be wrong.
        OSError: the disk is full; the error has the file's name.
    """
    done = folder / f"{source.sha256}{PurePosixPath(urlsplit(source.url).path).suffix}"
    if done.exists():
        return done
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{source.sha256}.part"
    _complete(source, part, waits, read_timeout)
    if not _verified(source, part):
        # The file on the server may have changed between two attempts, so try once more from the first byte.
        part.unlink()
        tell(f"download: {source.url}: the sha256 is wrong; starting again from the first byte")
        _complete(source, part, waits, read_timeout)
        if not _verified(source, part):
            part.unlink()
            raise UserError(
                f"{source.url}: the sha256 of the download is not {source.sha256}: the file on the server has "
                "changed, or a proxy changes it"
            )
    return part.rename(done)


def _complete(source: Source, part: Path, waits: Sequence[float], read_timeout: float) -> None:
    """Repeat `_attempt` until `part` has all bytes."""
    part.touch()
    failures = 0
    with progress_bytes(source.bytes, part.stat().st_size, "downloading") as bar:
        while (size := part.stat().st_size) < source.bytes:
            try:
                _attempt(source, part, read_timeout, bar)
            except _TransientError as failure:
                grown = part.stat().st_size
                failures = 1 if grown > size else failures + 1
                if failures > len(waits):
                    raise UserError(
                        f"{source.url}: {failure}, {failures} times in a row: check the connection and run `dvc repro` "
                        f"again, which resumes after {grown:,} of {source.bytes:,} bytes"
                    ) from None
                wait = waits[failures - 1]
                tell(
                    f"download: {source.url}: {failure}, at {grown:,} of {source.bytes:,} bytes; "
                    f"next attempt in {wait:g} s"
                )
                time.sleep(wait)


def _attempt(source: Source, part: Path, read_timeout: float, bar: "tqdm[NoReturn]") -> None:
    """Request the bytes that `part` lacks, and write them to it.

    A server that ignores the range sends the file from its first byte. It is then written over the equal bytes of
    `part`, so `part` never gets shorter.

    Raises:
        _TransientError: the attempt failed, and a retry may succeed.
        UserError: the server does not have the file.
    """
    size = part.stat().st_size
    with _get(source, size, read_timeout) as response:
        start = _first_byte(source, size, response)
        with writing(part, "r+b") as file:
            file.seek(start)
            for chunk in _chunks(response):
                file.write(chunk)
                bar.update(file.tell() - bar.n)
                if file.tell() >= source.bytes:
                    break  # the server sends too much, which could fill the disk
    if part.stat().st_size < source.bytes:
        raise _TransientError("the server closed the connection early")


def _get(source: Source, size: int, read_timeout: float) -> requests.Response:
    """Request the file from byte `size` on.

    Raises:
        _TransientError: the server cannot be reached, or its certificate cannot be verified and this is not allowed.
    """
    headers = {"Accept-Encoding": "identity"}  # otherwise the range could refer to compressed bytes
    if size:
        headers["Range"] = f"bytes={size}-"
    try:
        return requests.get(source.url, headers=headers, stream=True, timeout=read_timeout)
    except requests.exceptions.SSLError as error:
        if not source.broken_certificate:
            raise _TransientError(_reason(error)) from None
        reason = _reason(error)
    except requests.RequestException as error:
        raise _TransientError(_reason(error)) from None
    tell(f"download: {source.url}: {reason}; continuing, since the sha256 will be checked")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InsecureRequestWarning)
            return requests.get(source.url, headers=headers, stream=True, timeout=read_timeout, verify=False)
    except requests.RequestException as error:
        raise _TransientError(_reason(error)) from None


def _first_byte(source: Source, size: int, response: requests.Response) -> int:
    """Offset in the file of the first byte of the response.

    Raises:
        _TransientError: the response is not part of this file, but a retry may succeed.
        UserError: the server does not have the file.
    """
    status = response.status_code
    content_range = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
    if status == 206 and content_range:
        start, total = int(content_range[1]), content_range[2]
    elif status == 200:  # the whole file; some servers ignore the range
        start, total = 0, response.headers.get("Content-Length", "an unknown number of")
    elif status in (206, 416) or status >= 500 or status in RETRY_STATUSES:
        raise _TransientError(f"the server answers {status} {response.reason}")
    else:
        raise UserError(f"{source.url}: the server answers {status} {response.reason}: the file may have been moved")
    if total != str(source.bytes) or start > size:
        # For example an error page, which must not be written over the bytes received so far.
        raise _TransientError(f"the server offers {total} bytes from {start} on, not {source.bytes} from {size} on")
    return start


def _chunks(response: requests.Response) -> Iterator[bytes]:
    try:
        yield from response.iter_content(CHUNK)
    except requests.RequestException as error:
        raise _TransientError(_reason(error)) from None


def _reason(error: BaseException) -> str:
    """The message of the root cause of an exception of requests; its own message is long and unclear."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error) or type(error).__name__


def _verified(source: Source, part: Path) -> bool:
    with part.open("rb") as file:
        os.fsync(file.fileno())  # a file with the final name must be complete, even after a power cut
        return hashlib.file_digest(file, "sha256").hexdigest() == source.sha256
