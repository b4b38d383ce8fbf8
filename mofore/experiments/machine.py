"""What this machine has, as lines of text: cores, memory, GPU, decoders, git and DVC."""

import importlib.metadata
import math
import os
import platform
import subprocess

import cv2
import torch
from matplotlib.font_manager import fontManager

from mofore.config import Runtime
from mofore.runtime.device import uses_bf16
from mofore.utils.limits import cpu_quota, usable_cores, usable_memory
from mofore.utils.text import counted

COMMAND_SECONDS = 30  # after which a command counts as failed


def describe_machine(runtime: Runtime) -> dict[str, str]:
    """Facts by name, in the order in which a reader needs them. What is missing is said, with what to do."""
    return {
        "system": f"{platform.platform(terse=True)}, Python {platform.python_version()}, torch {torch.__version__}",
        "cores": _cores(),
        "memory": f"{usable_memory() / 1e9:.1f} GB{_shared_memory()}",
        "GPU": _gpus(),
        "precision": "bf16" if uses_bf16(runtime, _device(runtime)) else "float32",
        "decoders": f"OpenCV {cv2.__version__}, FFmpeg {_ffmpeg()}; PyAV {_version('av')}",
        "fonts": f"{counted(len({font.name for font in fontManager.ttflist}), 'family', 'families')} for class names",
        "git": _first_line("git", "--version").removeprefix("git version ")
        or "not found: DVC needs it for experiments",
        "DVC": _dvc(),
    }


def _cores() -> str:
    quota = cpu_quota()
    limit = "" if math.isinf(quota) else f", as the container's quota of {quota:g} allows"
    return f"{usable_cores()} of {os.cpu_count()}{limit}"


def _shared_memory() -> str:
    """Room in /dev/shm, which containers limit. The loader does without."""
    try:
        found = os.statvfs("/dev/shm")
    except OSError:
        return ""
    return f"; {found.f_bavail * found.f_frsize / 1e9:.1f} GB in /dev/shm, of which nothing is needed"


def _device(runtime: Runtime) -> torch.device:
    """The kind of device that `pick_device` will take, without locking a GPU, for which it may wait."""
    if runtime.device in ("auto", "cuda"):
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(runtime.device)


def _gpus() -> str:
    if not torch.cuda.is_available():
        mps = "; Apple's MPS is used only if runtime.device names it" if torch.backends.mps.is_available() else ""
        return f"none that torch {torch.__version__} can use{mps}"
    found = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    return ", ".join(f"{gpu.name} with {gpu.total_memory / 1e9:.0f} GB" for gpu in found)


def _ffmpeg() -> str:
    """The version of the libavcodec inside OpenCV."""
    lines = [line.split() for line in cv2.getBuildInformation().splitlines() if "avcodec:" in line]
    return lines[0][-1].strip("()") if lines else "missing: install opencv-python-headless from PyPI"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _dvc() -> str:
    """Version, and how DVC puts files of its cache into the workspace; copies take the space of all frames twice."""
    said = dict(line.split(": ", 1) for line in _output("dvc", "doctor").splitlines() if ": " in line)
    if not said:
        return "not found, or this is not a repository: run this in the project's top folder"
    links = said.get("Cache types", "")
    if "no-dvc-cache" in links:
        return f"{said['DVC version']}; links: known after the first `dvc repro`"
    takes = "" if "link" in links else "; frames take their space twice, as DVC copies them"
    return f"{said['DVC version']}; links: {links or 'none'}{takes}"


def _first_line(*command: str) -> str:
    return next(iter(_output(*command).splitlines()), "")


def _output(*command: str) -> str:
    """What a command prints; nothing if it is missing, fails or hangs."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout
