"""How many cores this process may use: those of its affinity, or fewer where its container has a quota."""

import math
import os
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")


def usable_cores() -> int:
    """Number of cores for this process, at least 1. A quota of one and a half counts as two."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(affinity, math.ceil(min(cpu_quota(), affinity))))


def cpu_quota() -> float:
    """Cores' worth of time that the cgroup of this process and all above it allow; infinite without a limit.

    Docker's --cpus, Kubernetes' limits and systemd's CPUQuota set it. Read from cgroup v2 and v1. A container sees its
    own cgroup as the topmost, but may find the host's path of it in /proc, which then does not exist.
    """
    quota = math.inf
    for line in _text(OWN_CGROUPS).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = CGROUPS / "cpu" if controllers else CGROUPS  # v1 has a tree for each controller, v2 one for all
        own = top / path.lstrip("/")
        for group in (own, *own.parents):
            if controllers:
                limit, period = _text(group / "cpu.cfs_quota_us"), _text(group / "cpu.cfs_period_us")
            else:
                limit, _, period = _text(group / "cpu.max").partition(" ")
            if limit.isdecimal() and period.strip().isdecimal():
                quota = min(quota, int(limit) / int(period))
            if group == top:
                break
    return quota


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
