"""Unpack a ZIP or RAR archive from an untrusted source.

What an archive says of its members is checked before the first is written: none may leave the folder, none may be a
link, and together they may not be absurdly many or large. Python cannot decompress RAR, so a tool of the system does.
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

# In order of preference: those that know all of RAR first. 7zz, 7z: as 7-Zip is named here and there.
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
        bytes: unpacked.
        plain: a file or folder, no link, device or the like.
    """

    name: str
    bytes: int
    plain: bool


def unpack(archive: Path, folder: Path) -> None:
    """Unpack all of an archive into a new folder.

    Args:
        archive: ZIP or RAR, whatever its name.
        folder: is made; what it is in must be there.

    Raises:
        UserError: not an archive, damaged, encrypted, refused (see `check_members`), or a RAR archive and no tool here
            can unpack it.
        OSError: the disk is full.
    """
    # RAR is tested first, by its first bytes; the test for ZIP searches for a mark that any file may have near its end.
    if rarfile.is_rarfile(archive):
        _unpack_rar(archive, folder)
    elif zipfile.is_zipfile(archive):
        _unpack_zip(archive, folder)
    else:
        raise UserError(f"{archive}: neither a ZIP nor a RAR archive, or a part of one only: get it again")


def check_members(archive: Path, members: Iterable[Member], folder: Path) -> None:
    """Refuse an archive that should not be unpacked into `folder`.

    Raises:
        UserError: a member would leave the folder or is a link, or all are too many or too large, for reason or for the
            disk; names the member.
    """
    members = list(members)
    for member in members:
        path = PureWindowsPath(member.name)  # knows / and \ and drives
        if path.anchor or ".." in path.parts:
            raise UserError(f"{archive}: '{member.name}' would be unpacked outside of the folder: get a clean archive")
        if not member.plain:
            raise UserError(f"{archive}: '{member.name}' is a link or the like, not a file: get an archive without")
    total = sum(member.bytes for member in members)
    if len(members) > MAX_FILES or total > MAX_BYTES:
        raise UserError(
            f"{archive}: would unpack to {len(members):,} files of {total / 1e9:,.1f} GB, far more than UCF101: get a "
            "clean archive"
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
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:  # RuntimeError: a password is needed
        raise UserError(f"{archive}: cannot be unpacked: {error}: get it again") from None


def _zip_member(info: zipfile.ZipInfo) -> Member:
    kind = stat.S_IFMT(info.external_attr >> 16)  # 0: made on a system without such kinds
    return Member(info.filename, info.file_size, kind in (0, stat.S_IFREG, stat.S_IFDIR))


def need_rar_tool(archive: str | Path) -> list[str]:
    """The tools here that can unpack RAR.

    Raises:
        UserError: there is none.
    """
    tools = [tool for tool in RAR_TOOLS if shutil.which(tool) and _knows_rar(tool)]
    if not tools:
        raise UserError(
            f"{archive}: a RAR archive, and none of {', '.join(RAR_TOOLS)} is here that can unpack it: install one, "
            "with `apt install unar` or `brew install unar`, say"
        )
    return tools


def _knows_rar(tool: str) -> bool:
    """Debian's 7zz is built without RAR, for the licence of that code; `7zz i` lists what it knows."""
    if RAR_TOOLS[tool] is not SEVEN_ZIP:
        return True
    return b" Rar " in subprocess.run([tool, "i"], stdin=subprocess.DEVNULL, capture_output=True, check=False).stdout


def _unpack_rar(archive: Path, folder: Path) -> None:
    tools = need_rar_tool(archive)
    try:
        with rarfile.RarFile(archive) as opened:
            infos = opened.infolist()
            if opened.needs_password():
                raise UserError(f"{archive}: needs a password: unpack it and set data.path to the folder")
    except rarfile.Error as error:
        raise UserError(f"{archive}: cannot be unpacked: {error}: get it again") from None
    check_members(archive, map(_rar_member, infos), folder)
    sizes = sorted(info.file_size for info in infos if info.is_file())
    failures = []
    for tool in tools:
        folder.mkdir()
        tell(f"download: unpacking {archive} with {tool}")
        command = [tool, *(part.format(archive=archive.absolute(), folder=folder) for part in RAR_TOOLS[tool])]
        ran = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, check=False, preexec_fn=_end_with_parent
        )
        # The tool has read the archive again, and may have read it differently from the check above.
        written = [path.lstat() for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]
        plain = all(stat.S_ISREG(status.st_mode) for status in written)
        if ran.returncode == 0 and plain and sizes == sorted(status.st_size for status in written):
            return
        said = (ran.stderr or ran.stdout).decode(errors="replace").split("\n")
        failures.append(f"{tool} ends with status {ran.returncode} {' '.join(said)[-200:].strip()}")
        shutil.rmtree(folder)
    raise UserError(
        f"{archive}: cannot be unpacked: {'; '.join(failures)}: install unrar, which knows all kinds of RAR, or "
        "get the archive again"
    )


def _end_with_parent() -> None:
    """Have the kernel kill the tool when its parent is killed; else it would write into data/raw beside a new run."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _rar_member(info: rarfile.RarInfo) -> Member:
    plain = info.is_dir() or (info.is_file() and info.file_redir is None)  # redirected: a hard link, say
    return Member(info.filename, info.file_size, plain)
