"""How many cores and how much memory a process may use."""

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mofore.utils import limits
from mofore.utils.limits import cpu_quota, usable_cores, usable_memory

HERE = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
V1_CPU = Path("/sys/fs/cgroup/cpu")


def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str, files: dict[str, str]) -> None:
    """Set the contents of /proc/self/cgroup, and files under /sys/fs/cgroup."""
    (tmp_path / "own").write_text(own)
    monkeypatch.setattr(limits, "OWN_CGROUPS", tmp_path / "own")
    monkeypatch.setattr(limits, "CGROUPS", tmp_path / "cgroup")
    for name, text in files.items():
        (tmp_path / "cgroup" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "cgroup" / name).write_text(text)


@pytest.mark.parametrize(
    ("own", "files", "quota"),
    [
        ("", {}, math.inf),
        ("0::/\n", {"cpu.max": "max 100000\n"}, math.inf),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/a/b\n", {"cpu.max": "max 100000", "a/cpu.max": "100000 100000\n", "a/b/cpu.max": "300000 100000\n"}, 1.0),
        ("0::/not/seen/in/the/container\n", {"cpu.max": "50000 100000\n"}, 0.5),
        (
            "4:cpu,cpuacct:/c\n0::/\n",
            {"cpu/c/cpu.cfs_quota_us": "200000\n", "cpu/c/cpu.cfs_period_us": "100000\n"},
            2.0,
        ),
        ("4:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, math.inf),
        ("5:cpuset:/\n", {"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, math.inf),
    ],
)
def test_the_smallest_quota_of_all_groups_above(
    own: str, files: dict[str, str], quota: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(tmp_path, monkeypatch, own, files)
    assert cpu_quota() == quota
    assert usable_cores() == max(1, min(HERE, math.ceil(min(quota, HERE))))


@pytest.mark.parametrize(
    ("own", "files", "memory"),
    [
        ("0::/a\n", {"memory.max": "max\n", "a/memory.max": "1000000\n"}, 1_000_000),
        ("3:memory:/a\n", {"memory/a/memory.limit_in_bytes": "2000000\n"}, 2_000_000),
        ("3:memory:/\n", {"memory/memory.limit_in_bytes": f"{2**63 - 4096}\n"}, None),
        ("", {}, None),
    ],
)
def test_memory_is_that_of_the_machine_or_of_the_smallest_limit(
    own: str, files: dict[str, str], memory: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(tmp_path, monkeypatch, own, files)
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert usable_memory() == (memory or whole)


@pytest.fixture
def group_of_one_core() -> Iterator[Path]:
    """A cgroup (v1 or v2) of this machine with the time of one core."""
    group = (V1_CPU if V1_CPU.is_dir() else Path("/sys/fs/cgroup")) / f"mofore-{os.getpid()}"
    try:
        group.mkdir()
        if V1_CPU.is_dir():
            (group / "cpu.cfs_quota_us").write_text("100000")
        else:
            (group / "cpu.max").write_text("100000 100000")
    except OSError as error:
        if group.is_dir():
            group.rmdir()
        pytest.skip(f"may not make a cgroup with a quota here: {error}")
    yield group
    group.rmdir()


@pytest.mark.skipif(HERE < 2, reason="a quota shows only on several cores")
def test_workers_and_torch_keep_to_a_real_quota(group_of_one_core: Path) -> None:
    count = (
        "import mofore.runtime.openmp, torch; from mofore.utils.workers import worker_count; "
        "print(worker_count(-1), torch.get_num_threads())"
    )
    join = f'echo $$ > {group_of_one_core}/cgroup.procs && exec "$@"'
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    command = ["sh", "-c", join, "sh", sys.executable, "-c", count]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "1 1\n"
