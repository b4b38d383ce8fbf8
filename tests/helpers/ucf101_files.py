"""A miniature UCF101: archives with its exact layout, its split lists, and a RAR writer (no free tool writes RAR)."""

import io
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from zlib import crc32

CLASSES = ["ApplyEyeMakeup", "HandstandPushups", "YoYo"]
GROUPS = [1, 8, 25]
CLIPS = 2
# As in UCF101, one class is spelt differently in its folder (HandstandPushups) and its file names (HandStandPushups).
VIDEOS = [
    f"{name}/v_{name.replace('stand', 'Stand')}_g{group:02}_c{clip:02}.avi"
    for name in CLASSES
    for group in GROUPS
    for clip in range(1, CLIPS + 1)
]


def lists() -> dict[str, bytes]:
    """Return the split lists by path, with CR LF like the official ones. Splits 1, 2, 3 hold out groups 1, 8, 25."""
    files = {}
    for split, held_out in enumerate(GROUPS, start=1):
        test = [video for video in VIDEOS if f"_g{held_out:02}_" in video]
        train = [f"{video} {CLASSES.index(video.split('/')[0]) + 1}" for video in VIDEOS if video not in test]
        files[f"ucfTrainTestlist/trainlist{split:02}.txt"] = "\r\n".join([*train, ""]).encode()
        files[f"ucfTrainTestlist/testlist{split:02}.txt"] = "\r\n".join([*test, ""]).encode()
    return files


def contents(videos: list[str] = VIDEOS, content: bytes = b"RIFF") -> dict[str, bytes]:
    """Return the archive's members by path. Each video ends with its name, so that no two are equal."""
    return {f"UCF-101/{video}": content + video.encode() for video in videos}


def write_files(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write the files into a folder and return it."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def zip_bytes(files: Mapping[str, bytes]) -> bytes:
    """Return a ZIP archive that lists its folders as members, as most tools do. The bytes are reproducible."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for folder in sorted({f"{name.rsplit('/', 1)[0]}/" for name in files if "/" in name}):
            archive.writestr(zipfile.ZipInfo(folder), b"")
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def rar_bytes(files: Mapping[str, bytes], mode: int = 0o100644, flags: int = 0) -> bytes:
    """Return a RAR 4 archive with uncompressed members, after https://www.rarlab.com/technote.htm of that version.

    Args:
        files: content by path.
        mode: Unix mode of all members.
        flags: additional header flags of all members; 4: encrypted.
    """
    out = b"Rar!\x1a\x07\x00" + _block(0x73, 0, bytes(6))
    for path, content in files.items():
        name = path.replace("/", "\\").encode()  # the format uses backslashes on all systems
        size, linux, stored = len(content), 3, 0x30
        fields = struct.pack("<LLBLLBBHL", size, size, linux, crc32(content), 0x5A216000, 20, stored, len(name), mode)
        out += _block(0x74, 0x8000 | flags, fields + name) + content
    return out + _block(0x7B, 0x4000, b"")


def _block(kind: int, flags: int, fields: bytes) -> bytes:
    head = struct.pack("<BHH", kind, flags, 7 + len(fields)) + fields
    return struct.pack("<H", crc32(head) & 0xFFFF) + head
