"""Unpack a ZIP or RAR archive from an untrusted source.

The list of members is checked before the first one is written: no member may be outside the folder, none may be a link,
and their number and total size are limited. Python cannot decompress RAR, so an installed tool does it.
"""

import ctypes
import shutil
import signal
import stat
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

import rarfile

from mofore.errors import UserError
from mofore.utils.files import need_space
from mofore.utils.progress import progress, tell

MAX_FILES = 200_000
MAX_BYTES = 100 * 10**9

# In order of preference: first the tools that support all RAR features. 7zz and 7z are two names of 7-Zip.
SEVEN_ZIP = ["x", "-y", "-bd", "-o{folder}", "--", "{archive}"]
RAR_TOOLS = {
    "unrar": ["x", "-idq", "-o+", "-p-", "--", "{archive}", "{folder}/"],
    "unar": ["-quiet", "-force-overwrite", "-no-directory", "-output-directory", "{folder}", "{archive}"],
    "7zz": SEVEN_ZIP,
    "7z": SEVEN_ZIP,
    "bsdtar": ["-x", "-f", "{archive}", "-C", "{folder}"],
}


@dataclass(frozen=True)
class Member:
    """One member of an archive, as the archive describes it.

    Attributes:
        name: its path in the archive.
        bytes: size after unpacking.
        is_plain: whether it is a regular file or a folder, not a link, device or the like.
    """

    name: str
    bytes: int
    is_plain: bool


def unpack(archive: Path, folder: Path) -> None:
    """Unpack all of an archive into a new folder.

    Args:
        archive: a ZIP or RAR file; its suffix does not matter.
        folder: the folder to make; its parent must exist.

    Raises:
        UserError: the file is not an archive, is damaged or encrypted, is refused (see `check_members`), or is a RAR
            archive that no installed tool can unpack.
        OSError: the disk is full.
    """
    # RAR first, by its first bytes. The test for ZIP is weaker: it searches for a mark near the end of the file.
    if rarfile.is_rarfile(archive):
        _unpack_rar(archive, folder)
    elif zipfile.is_zipfile(archive):
        _unpack_zip(archive, folder)
    else:
        raise UserError(f"{archive}: not a complete ZIP or RAR archive: get it again")


def check_members(archive: Path, members: Iterable[Member], folder: Path) -> None:
    """Refuse an archive that should not be unpacked into `folder`.

    Raises:
        UserError: a member is outside the folder or is a link (the message names it), there are more than MAX_FILES
            members or MAX_BYTES bytes, or the disk has too little space.
    """
    members = list(members)
    for member in members:
        path = PureWindowsPath(member.name)  # handles /, \ and drive letters
        if path.anchor or ".." in path.parts:
            raise UserError(f"{archive}: '{member.name}' would be unpacked outside of the folder: get a clean archive")
        if not member.is_plain:
            raise UserError(f"{archive}: '{member.name}' is a link or the like, not a file: get a clean archive")
    total = sum(member.bytes for member in members)
    if len(members) > MAX_FILES or total > MAX_BYTES:
        raise UserError(
            f"{archive}: would unpack to {len(members):,} files, {total / 1e9:,.1f} GB together, far more than UCF101: "
            "get a clean archive"
        )
    need_space(folder.parent, total, f"unpacking {archive}")


def _unpack_zip(archive: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as opened:
            infos = opened.infolist()
            check_members(archive, map(_zip_member, infos), folder)
            folder.mkdir()
            for info in progress(infos, len(infos), "unpacking", "file"):
                opened.extract(info, folder)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:  # RuntimeError: needs a password
        raise UserError(f"{archive}: cannot be unpacked: {error}: get it again") from None


def _zip_member(info: zipfile.ZipInfo) -> Member:
    kind = stat.S_IFMT(info.external_attr >> 16)  # 0: made on a system that does not store file types
    return Member(info.filename, info.file_size, kind in (0, stat.S_IFREG, stat.S_IFDIR))


def need_rar_tool(archive: str | Path) -> list[str]:
    """The installed tools that can unpack RAR, in order of preference.

    Raises:
        UserError: there is none; the message names `archive`.
    """
    tools = [tool for tool in RAR_TOOLS if shutil.which(tool) and _supports_rar(tool)]
    if not tools:
        raise UserError(
            f"{archive}: a RAR archive, and no tool that can unpack it is installed ({', '.join(RAR_TOOLS)}): install "
            "one, for example with `apt install unar` or `brew install unar`"
        )
    return tools


def _supports_rar(tool: str) -> bool:
    """Whether an installed tool supports RAR. Debian's 7zz does not, for licence reasons; `7zz i` lists its formats."""
    if RAR_TOOLS[tool] is not SEVEN_ZIP:
        return True
    return b" Rar " in subprocess.run([tool, "i"], stdin=subprocess.DEVNULL, capture_output=True, check=False).stdout


def _unpack_rar(archive: Path, folder: Path) -> None:
    tools = need_rar_tool(archive)
    try:
        with rarfile.RarFile(archive) as opened:
            infos = opened.infolist()
            if opened.needs_password():
                raise UserError(f"{archive}: needs a password: unpack it yourself and set data.path to the folder")
    except rarfile.Error as error:
        raise UserError(f"{archive}: cannot be unpacked: {error}: get it again") from None
    check_members(archive, map(_rar_member, infos), folder)
    sizes = sorted(info.file_size for info in infos if info.is_file())
    failures = []
    for tool in tools:
        folder.mkdir()
        tell(f"download: unpacking {archive} with {tool}")
        command = [tool, *(part.format(archive=archive.absolute(), folder=folder) for part in RAR_TOOLS[tool])]
        result = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, check=False, preexec_fn=_die_with_parent
        )
        # The tool may read the archive differently from `check_members`, so check what it has written.
        written = [path.lstat() for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]
        only_files = all(stat.S_ISREG(status.st_mode) for status in written)
        if result.returncode == 0 and only_files and sizes == sorted(status.st_size for status in written):
            return
        output = (result.stderr or result.stdout).decode(errors="replace").split("\n")
        failures.append(f"{tool} ends with status {result.returncode} {' '.join(output)[-200:].strip()}")
        shutil.rmtree(folder)
    raise UserError(
        f"{archive}: cannot be unpacked: {'; '.join(failures)}: install unrar, which supports all RAR features, "
        "or get the archive again"
    )


def _die_with_parent() -> None:
    """Let the kernel kill the tool if its parent is killed. Otherwise it would still write while a new run starts."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _rar_member(info: rarfile.RarInfo) -> Member:
    is_plain = info.is_dir() or (info.is_file() and info.file_redir is None)  # file_redir is set for hard links
    return Member(info.filename, info.file_size, is_plain)
