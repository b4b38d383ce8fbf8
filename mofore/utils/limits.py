"""Cores and memory that this process may use: those of the machine, or less where its container has limits.

Docker, Kubernetes, systemd and SLURM set limits of cgroups. Both versions of cgroups are read. The limits of the
groups above the process's own apply, too. A container sees its own group as the topmost one, but may find
the host's path of it in /proc, which then does not exist.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")


def usable_cores() -> int:
    """Number of cores for this process, at least 1: those of its affinity, or of its quota; 1.5 counts as 2."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(affinity, math.ceil(min(cpu_quota(), affinity))))


def cpu_quota() -> float:
    """Cores' worth of time that this process may use; infinite without a limit."""
    quota = math.inf
    for group, version in _own_groups("cpu"):
        if version == 1:
            limit, period = _text(group / "cpu.cfs_quota_us"), _text(group / "cpu.cfs_period_us")
        else:
            limit, _, period = _text(group / "cpu.max").partition(" ")
        if limit.isdecimal() and period.isdecimal():
            quota = min(quota, int(limit) / int(period))
    return quota


def usable_memory() -> int:
    """Bytes of memory for this process and others in its container."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for group, version in _own_groups("memory"):
        limit = _text(group / ("memory.limit_in_bytes" if version == 1 else "memory.max"))
        memory = min(memory, int(limit)) if limit.isdecimal() else memory
    return memory


def _own_groups(controller: str) -> Iterator[tuple[Path, int]]:
    """The folders of this process's group and those above it, with the version of cgroups: 1 or 2."""
    for line in _text(OWN_CGROUPS).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        # Version 1 has a tree for each controller, version 2 one for all.
        top = CGROUPS / controller if controllers else CGROUPS
        own = top / path.lstrip("/")
        for group in (own, *own.parents):
            yield group, 1 if controllers else 2
            if group == top:
                break


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
