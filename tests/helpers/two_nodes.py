"""Two nodes on this machine: network namespaces with names and addresses of their own, joined by a virtual link."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

NODES = ("node1", "node2")
HOSTS = "127.0.0.1 localhost\n10.77.0.1 node1\n10.77.0.2 node2\n"


@dataclass
class TwoNodes:
    """Node `node1` and `node2`. They share all files, as nodes of a cluster share a file system."""

    prefix: str  # of the names of the namespaces
    hosts: Path  # /etc/hosts of both

    def command(self, node: str, *command: str) -> list[str]:
        """The command that runs `command` on a node."""
        enter = ["nsenter", f"--net=/run/netns/{self.prefix}{node}", "unshare", "--uts", "--mount"]
        named = ["sh", "-c", f'mount --bind {self.hosts} /etc/hosts && hostname "$0" && exec "$@"', node]
        return [*enter, *named, *command]

    def run(self, node: str, *command: str, env: Mapping[str, str], cwd: Path | None = None) -> str:
        """Run a command on a node to its end; returns what it printed.

        Raises:
            CalledProcessError: it failed.
        """
        done = subprocess.run(
            self.command(node, *command), env=env, cwd=cwd, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def start(self, node: str, *command: str, **options: Any) -> "subprocess.Popen[str]":
        """Start a command on a node, in a session of its own."""
        return subprocess.Popen(self.command(node, *command), start_new_session=True, text=True, **options)

    def kill_all(self, node: str) -> None:
        """Kill all processes of a node. The kernel then tells their peers; a power cut would not."""
        for pid in reversed(self.pids(node)):  # children first: a rank that outlives torchrun would stop in order
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def pids(self, node: str) -> list[int]:
        """Ids of the processes of a node."""
        listed = subprocess.run(["ip", "netns", "pids", self.prefix + node], capture_output=True, text=True, check=True)
        return [int(pid) for pid in listed.stdout.split()]


@contextmanager
def two_nodes(folder: Path) -> Iterator[TwoNodes]:
    """Make the nodes; at the end, kill their processes and remove them. Skip the test where that is not allowed.

    Args:
        folder: for a file.
    """
    if os.getuid() or not all(map(shutil.which, ("ip", "nsenter", "unshare"))):
        pytest.skip("network namespaces need root and the commands ip, nsenter and unshare")
    nodes = TwoNodes(f"mofore-{os.getpid()}-", folder / "hosts")
    nodes.hosts.write_text(HOSTS)
    try:
        for node in NODES:
            made = subprocess.run(["ip", "netns", "add", nodes.prefix + node], capture_output=True, check=False)
            if made.returncode:
                pytest.skip(f"may not make a network namespace here: {made.stderr.decode().strip()}")
        first, second = (nodes.prefix + node for node in NODES)
        link = ["link", "add", "eth1", "netns", first, "type", "veth", "peer", "name", "eth1", "netns", second]
        if subprocess.run(["ip", *link], check=False).returncode:
            pytest.skip("may not make a virtual link here")
        for number, name in enumerate((first, second), start=1):
            _ip("-n", name, "address", "add", f"10.77.0.{number}/24", "dev", "eth1")
            _ip("-n", name, "link", "set", "eth1", "up")
            _ip("-n", name, "link", "set", "lo", "up")
        yield nodes
    finally:
        for node in NODES:
            if Path("/run/netns", nodes.prefix + node).exists():
                nodes.kill_all(node)
                _ip("netns", "delete", nodes.prefix + node)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)
