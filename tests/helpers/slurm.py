"""A real SLURM cluster of two nodes on this machine: munged, slurmctld, and a slurmd on each of `two_nodes`."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.helpers.processes import wait_until
from tests.helpers.two_nodes import NODES, TwoNodes, two_nodes

SERVICES = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "pkill")

CONFIG = """
ClusterName=test
SlurmctldHost=node1
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/affinity
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
MessageTimeout=100
SchedulerParameters=sched_interval=2,batch_sched_delay=1
MpiDefault=none
NodeName=node[1-2] CPUs={cores} State=UNKNOWN
PartitionName=main Nodes=node[1-2] Default=YES MaxTime=INFINITE State=UP
"""


@dataclass
class Slurm:
    """The cluster. `folder` has its configuration and logs."""

    folder: Path
    nodes: TwoNodes

    def run(self, *command: str, env: Mapping[str, str], cwd: Path) -> str:
        """Run a command such as sbatch on node1; returns what it printed."""
        return self.nodes.run("node1", *command, env={**env, **self.environment}, cwd=cwd)

    @property
    def environment(self) -> dict[str, str]:
        """Where SLURM's commands find the cluster."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def state(self, job: str) -> str:
        """State of a job, e.g. RUNNING; that of a job that has ended is kept for five minutes."""
        shown = self.run("scontrol", "show", "job", job, env=os.environ, cwd=self.folder)
        return shown.partition("JobState=")[2].split()[0]


@contextmanager
def slurm_cluster() -> Iterator[Slurm]:
    """Start the cluster; stop it at the end. Skip the test where SLURM is not installed or may not run."""
    missing = [service for service in SERVICES if shutil.which(service) is None]
    if missing:
        packages = "slurmctld slurmd slurm-client munge procps"
        pytest.skip(f"SLURM is not installed: no {', '.join(missing)}; apt install {packages}")
    # Not in pytest's folder: the path of a socket may have 107 characters.
    with tempfile.TemporaryDirectory(prefix="slurm-") as name, two_nodes(Path(name)) as nodes:
        folder = Path(name)
        cluster = Slurm(folder, nodes)
        cores = len(os.sched_getaffinity(0))
        (folder / "slurm.conf").write_text(CONFIG.format(folder=folder, cores=cores))
        (folder / "munge.key").write_bytes(os.urandom(1024))
        (folder / "munge.key").chmod(0o600)
        files = [f"--{what}-file={folder}/munge.{what.split('-')[0]}" for what in ("key", "pid", "log", "seed")]
        munged = subprocess.Popen(
            ["munged", "--foreground", "--force", f"--socket={folder}/munge.socket", *files], stderr=subprocess.DEVNULL
        )
        try:
            wait_until((folder / "munge.socket").exists)
            env = {**os.environ, **cluster.environment}
            with (folder / "services.log").open("w") as log:
                nodes.start("node1", "slurmctld", "-i", "-D", env=env, stdout=log, stderr=log)
                for node in NODES:
                    nodes.start(node, "slurmd", "-D", "-N", node, env=env, stdout=log, stderr=log)
            try:
                wait_until(lambda: idle_nodes(cluster) == len(NODES), 120)
            except AssertionError:
                pytest.skip(f"SLURM does not start here: {(folder / 'services.log').read_text().strip()[-300:]}")
            yield cluster
        finally:
            for node in NODES:
                nodes.kill_all(node)
            munged.terminate()
            munged.wait()


def idle_nodes(cluster: Slurm) -> int:
    """Number of nodes on which nothing runs; 0 if the cluster does not answer."""
    env = {**os.environ, **cluster.environment}
    asked = cluster.nodes.command("node1", "sinfo", "--noheader", "--format=%t %D")
    listed = subprocess.run(asked, env=env, capture_output=True, text=True, check=False).stdout
    return sum(int(count) for state, count in map(str.split, listed.splitlines()) if state == "idle")
