"""Downloads from a server that misbehaves."""

import errno
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mofore.errors import UserError
from mofore.videos.http import CHUNK, Source, fetch
from tests.helpers.bad_server import BadServer, bad_server

CONTENT = random.Random(0).randbytes(300_001)
WAITS = (0.0, 0.0)
HALF = 150_000 // CHUNK * CHUNK  # bytes kept after a connection that broke at half


@pytest.fixture
def server() -> Iterator[BadServer]:
    with bad_server() as running:
        yield running


def part_of(source: Source, folder: Path) -> Path:
    return folder / f"{source.sha256}.part"


@pytest.mark.parametrize(
    "tricks",
    [
        (),
        ("moved",),
        ("early",),
        ("early", "early", "early", "early", "early"),  # more failures than retries, but each attempt gets new bytes
        ("early", "no_ranges"),
        ("early", "no_ranges_early", "fine"),
        ("busy",),
        ("early", "busy"),
        ("nothing", "nothing"),
        ("hangs",),
        ("page",),
        ("early", "page"),  # must not be written over the bytes received
        ("too_little",),
        ("early", "too_little"),
        ("early", "shrunk"),
        ("early", "ahead"),
        ("other",),  # the wrong bytes, once
        ("early", "other"),  # the file changes between two attempts
    ],
)
def test_the_whole_file_arrives(server: BadServer, tmp_path: Path, tricks: tuple[str, ...]) -> None:
    source = server.add("/videos.zip", CONTENT, *tricks)
    server.files["/videos.zip.moved"] = CONTENT
    patience = 0.3 if "hangs" in tricks else 60.0
    done = fetch(source, tmp_path / "new" / "folder", WAITS, read_timeout=patience)
    assert done == tmp_path / "new" / "folder" / f"{source.sha256}.zip"
    assert done.read_bytes() == CONTENT
    assert os.listdir(done.parent) == [done.name]
    assert server.tricks["/videos.zip"] == []


@pytest.mark.parametrize(
    ("tricks", "message", "kept"),
    [
        (["gone"], r"/videos\.zip: the server answers 404 Not Found", 0),
        (["early", "gone"], r"/videos\.zip: the server answers 404 Not Found", HALF),
        (["early"] + ["busy"] * 2, "answers 503 Service Unavailable, 3 times in a row: .* after 147,456 of", HALF),
        (["nothing"] * 3, "300001 more expected\\), 3 times in a row", 0),
        (["page"] * 3, "offers an unknown number of bytes from 0 on, not 300001 from 0 on, 3 times", 0),
        (["early"] + ["shrunk"] * 2, "the server answers 416 .*, 3 times in a row", HALF),
        (["too_little"] * 3, "the server offers 300000 bytes from 0 on, not 300001 from 0 on, 3 times", 0),
    ],
)  # fmt: skip
def test_received_bytes_are_kept_and_used_by_the_next_run(
    server: BadServer, tmp_path: Path, tricks: list[str], message: str, kept: int
) -> None:
    source = server.add("/videos.zip", CONTENT, *tricks)
    with pytest.raises(UserError, match=message):
        fetch(source, tmp_path, WAITS)
    part = part_of(source, tmp_path)
    assert os.listdir(tmp_path) == [part.name]
    assert part.stat().st_size == kept
    server.asked.clear()
    assert fetch(source, tmp_path, WAITS).read_bytes() == CONTENT
    assert server.asked == [("/videos.zip", kept or None)]


def test_wrong_content_is_refused_after_a_second_try(
    server: BadServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = server.add("/videos.zip", CONTENT, "other", "other")
    with pytest.raises(UserError, match=rf"/videos\.zip: the sha256 of the download is not {source.sha256}"):
        fetch(source, tmp_path, WAITS)
    assert os.listdir(tmp_path) == []
    assert server.asked == [("/videos.zip", None)] * 2
    assert "the sha256 is wrong; starting again from the first byte" in capsys.readouterr().err


def test_a_complete_part_is_verified_and_a_finished_file_reused(server: BadServer, tmp_path: Path) -> None:
    source = server.add("/videos.zip", CONTENT)
    part_of(source, tmp_path).write_bytes(CONTENT)
    assert fetch(source, tmp_path).read_bytes() == CONTENT
    assert fetch(source, tmp_path).read_bytes() == CONTENT
    assert server.asked == []
    shutil.rmtree(tmp_path)
    part_of(source, tmp_path).parent.mkdir()
    part_of(source, tmp_path).write_bytes(CONTENT + b"more")
    assert fetch(source, tmp_path).read_bytes() == CONTENT


def test_each_retry_prints_one_line(server: BadServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = server.add("/videos.zip", CONTENT, "early", "busy")
    fetch(source, tmp_path, WAITS)
    output = capsys.readouterr()
    assert output.out == ""
    lines = output.err.splitlines()  # and no progress bar, since stderr is not a terminal
    assert len(lines) == 2
    assert lines[1] == (
        f"download: {source.url}: the server answers 503 Service Unavailable, at 147,456 of 300,001 bytes; "
        "next attempt in 0 s"
    )


def test_no_server(tmp_path: Path) -> None:
    source = Source("http://127.0.0.1:9/videos.zip", 5, "0" * 64)
    with pytest.raises(UserError, match="Connection refused, 3 times in a row: check the connection"):
        fetch(source, tmp_path, WAITS)


def test_a_full_disk_is_reported_with_the_file(server: BadServer, tmp_path: Path) -> None:
    source = server.add("/videos.zip", CONTENT)
    part_of(source, tmp_path).symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        fetch(source, tmp_path, WAITS)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(part_of(source, tmp_path)))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl, which makes the certificate, is not installed")
def test_a_broken_certificate_is_accepted_only_where_it_is_expected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        f"openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=127.0.0.1 -keyout {key} -out {certificate}",
        shell=True,
        check=True,
        capture_output=True,
    )
    certificate.write_bytes(certificate.read_bytes() + key.read_bytes())
    with bad_server(certificate) as server:
        with pytest.raises(UserError, match=r"certificate verify failed.*, 3 times in a row"):
            fetch(server.add("/lists.zip", CONTENT), tmp_path, WAITS)
        assert server.asked == []
        capsys.readouterr()
        source = server.add("/lists.zip", CONTENT, broken_certificate=True)
        assert fetch(source, tmp_path, WAITS).read_bytes() == CONTENT
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"download: {source.url}: [SSL: CERTIFICATE_VERIFY_FAILED]")
        assert line.endswith("continuing, since the sha256 will be checked")
        shutil.rmtree(tmp_path)
        with pytest.raises(UserError, match="the sha256 of the download is not"):
            fetch(server.add("/lists.zip", CONTENT, "other", "other", broken_certificate=True), tmp_path, WAITS)
