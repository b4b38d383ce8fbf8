"""Good, broken and malicious archives."""

import os
import shutil
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from mofore.errors import UserError
from mofore.videos.archive import MAX_BYTES, MAX_FILES, RAR_TOOLS, Member, check_members, need_rar_tool, unpack
from tests.helpers.ucf101_files import contents, rar_bytes, zip_bytes

FILES = contents() | {"UCF-101/TSP_Flows/flow 1.mat": b"stray", "UCF-101/empty.txt": b""}
try:
    INSTALLED = need_rar_tool("a.rar")
except UserError:
    INSTALLED = []


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, the only one in PATH."""
    monkeypatch.setenv("PATH", str(tmp_path / "tools"))
    (tmp_path / "tools").mkdir()
    return tmp_path / "tools"


@pytest.fixture
def some_tool(tools: Path) -> Path:
    """A fake RAR tool that fails when it is run."""
    (tools / "unrar").write_text("#!/bin/sh\nexit 1\n")
    (tools / "unrar").chmod(0o755)
    return tools / "unrar"


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_zip(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zip_bytes(FILES))
    unpack(tmp_path / "a.zip", tmp_path / "out")
    assert files_of(tmp_path / "out") == FILES


@pytest.mark.parametrize("tool", RAR_TOOLS)
def test_rar_with_each_installed_tool(tmp_path: Path, tools: Path, tool: str) -> None:
    if tool not in INSTALLED:
        pytest.skip(f"no {tool} that supports RAR is installed")
    path = shutil.which(tool, path=os.defpath)
    assert path
    (tools / tool).symlink_to(path)
    (tmp_path / "-a [b].rar").write_bytes(rar_bytes(FILES))
    unpack(tmp_path / "-a [b].rar", tmp_path / "out")
    assert files_of(tmp_path / "out") == FILES


@pytest.mark.skipif(not INSTALLED, reason="no RAR tool is installed")
def test_a_tool_that_fails_is_followed_by_the_next(tmp_path: Path, tools: Path) -> None:
    (tools / INSTALLED[-1]).symlink_to(shutil.which(INSTALLED[-1], path=os.defpath) or "")
    first = next(iter(RAR_TOOLS))
    (tools / first).write_text("#!/bin/sh\nexit 0\n")  # reports success, but writes nothing
    (tools / first).chmod(0o755)
    (tmp_path / "a.rar").write_bytes(rar_bytes(FILES))
    unpack(tmp_path / "a.rar", tmp_path / "out")
    assert files_of(tmp_path / "out") == FILES


def test_a_tool_that_writes_a_link_or_fails_is_rejected(tmp_path: Path, tools: Path) -> None:
    (tmp_path / "a.rar").write_bytes(rar_bytes({"a": b"four"}))
    (tools / "bsdtar").write_text('#!/bin/sh\n/bin/ln -s "$3" "$5/a"\n')
    (tools / "unrar").write_text("#!/bin/sh\necho 'Unsupported  Method' >&2\nexit 2\n")
    for tool in ("bsdtar", "unrar"):
        (tools / tool).chmod(0o755)
    with pytest.raises(
        UserError,
        match=r"a\.rar: cannot be unpacked: unrar ends with status 2 Unsupported  Method; bsdtar ends with status 0",
    ):
        unpack(tmp_path / "a.rar", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_a_tool_the_message_says_what_to_install(tmp_path: Path, tools: Path) -> None:
    (tmp_path / "a.rar").write_bytes(rar_bytes(FILES))
    with pytest.raises(
        UserError, match=r"no tool that can unpack it is installed \(unrar, unar, 7zz, 7z, bsdtar\): install one"
    ):
        unpack(tmp_path / "a.rar", tmp_path / "out")


def test_tools_without_rar_support_are_not_used(some_tool: Path) -> None:
    (some_tool.parent / "7zz").write_text("#!/bin/sh\necho ' 0  ...F..  Zip  zip z01 zipx jar'\n")
    (some_tool.parent / "7zz").chmod(0o755)
    assert need_rar_tool("a.rar") == [some_tool.name]


MALICIOUS = [
    "../evil",
    "a/../../evil",
    "/etc/evil",
    "..\\evil",
    "\\evil",
    "C:\\evil",
    "C:evil",
    "//host/share/evil",
    "..",
]


@pytest.mark.parametrize("name", MALICIOUS)
@pytest.mark.parametrize("kind", ["zip", "rar"])
def test_a_member_that_would_leave_the_folder_is_refused(tmp_path: Path, some_tool: Path, kind: str, name: str) -> None:
    archive = tmp_path / f"a.{kind}"
    archive.write_bytes((zip_bytes if kind == "zip" else rar_bytes)({"good.avi": b"1", name: b"evil"}))
    with pytest.raises(UserError, match=rf"a\.{kind}: '.*' would be unpacked outside of the folder"):
        unpack(archive, tmp_path / "out")
    assert sorted(os.listdir(tmp_path)) == [archive.name, "tools"]


def test_links_are_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("UCF-101/link")
    for kind in (stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR):
        info.external_attr = (kind | 0o777) << 16
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.writestr(info, "/etc")
        with pytest.raises(UserError, match=r"a\.zip: 'UCF-101/link' is a link or the like"):
            unpack(tmp_path / "a.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_links_and_passwords_are_refused_in_rar(tmp_path: Path, some_tool: Path) -> None:
    (tmp_path / "a.rar").write_bytes(rar_bytes({"UCF-101/link": b"/etc"}, mode=0o120777))
    with pytest.raises(UserError, match=r"a\.rar: 'UCF-101/link' is a link or the like"):
        unpack(tmp_path / "a.rar", tmp_path / "out")
    (tmp_path / "b.rar").write_bytes(rar_bytes({"a": b"1"}, flags=4))
    with pytest.raises(UserError, match=r"b\.rar: needs a password"):
        unpack(tmp_path / "b.rar", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_too_many_files_or_bytes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a\.zip: would unpack to 2 files, 100\.0 GB together, far more than UCF101"):
        check_members(Path("a.zip"), [Member("a", MAX_BYTES, True), Member("b", 1, True)], tmp_path)
    with pytest.raises(UserError, match=r"would unpack to 200,001 files"):
        check_members(Path("a.zip"), [Member("a", 0, True)] * (MAX_FILES + 1), tmp_path)


def test_too_little_disk_space_is_reported_before_unpacking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda folder: shutil._ntuple_diskusage(10**12, 10**12, 2 * 10**9))
    with pytest.raises(
        UserError, match=r"unpacking a\.zip needs 7\.0 GB, but 2\.0 GB are free on this disk: free 5\.0"
    ):
        check_members(Path("a.zip"), [Member("a", 7 * 10**9, True)], tmp_path / "out")


def test_a_member_larger_than_stated_writes_no_more_than_stated(tmp_path: Path) -> None:
    bomb = zip_bytes({"a.avi": bytes(10_000_000)})
    lie = bomb.replace(struct.pack("<L", 10_000_000), struct.pack("<L", 1000))
    assert lie != bomb
    (tmp_path / "a.zip").write_bytes(lie)
    with pytest.raises(UserError, match=r"a\.zip: cannot be unpacked: Bad CRC-32 for file 'a\.avi': get it again"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert (tmp_path / "out/a.avi").stat().st_size <= 1000


def test_damaged_archives_are_reported(tmp_path: Path) -> None:
    whole = zip_bytes(FILES)
    for name, content in {
        "cut.zip": whole[: len(whole) // 2],
        "text.rar": b"<html>Not found</html>",
        "empty.zip": b"",
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=rf"{name}: not a complete ZIP or RAR archive"):
            unpack(tmp_path / name, tmp_path / "out")
    stored = zip_bytes({"a": b"1"}).replace(b"\x08\x00", b"\x63\x00")  # an unknown compression method
    (tmp_path / "method.zip").write_bytes(stored)
    with pytest.raises(UserError, match=r"method\.zip: cannot be unpacked: "):
        unpack(tmp_path / "method.zip", tmp_path / "out")
    if INSTALLED:
        (tmp_path / "cut.rar").write_bytes(rar_bytes(FILES)[:300])
        with pytest.raises(UserError, match=r"cut\.rar: cannot be unpacked: .* ends with status"):
            unpack(tmp_path / "cut.rar", tmp_path / "out2")
