"""The script nodes.sh of docs/distributed.md gives each node what a login does not know, whatever the paths."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.helpers.small_project import ROOT

STUBS = {
    "ssh": '#!/bin/sh\necho "$1" >> "$LOG.nodes"\nexec env -i LOG="$LOG" bash -c "$2"\n',
    "torchrun": '#!/bin/sh\necho "$PWD|$DVC_ROOT|$*" >> "$LOG"\n',
}


@pytest.mark.parametrize("name", ["project", "a project", "it's mine", 'a "b" $c'])
@pytest.mark.parametrize("copied", [False, True])
def test_all_nodes_run_the_same_in_the_same_folder(name: str, copied: bool, tmp_path: Path) -> None:
    project, commands, log = tmp_path / name, tmp_path / "bin of all", tmp_path / "log"
    project.mkdir()
    commands.mkdir()
    for command, text in STUBS.items():
        (commands / command).write_text(text)
        (commands / command).chmod(0o755)
    page = (ROOT / "docs/distributed.md").read_text()
    (script,) = re.findall(r"```bash\n(#!/bin/bash\nnodes=.*?)```", page, re.DOTALL)
    (tmp_path / "nodes.sh").write_text(script)
    original = "/original repository" if copied else ""  # set by DVC, which runs queued experiments in copies
    environment = os.environ | {"PATH": f"{commands}{os.pathsep}{os.environ['PATH']}", "LOG": str(log)}
    environment = {key: value for key, value in environment.items() if key != "DVC_ROOT"}
    subprocess.run(
        # The pipe is closed when the last process that writes to it, on whatever node, has ended.
        ["bash", "../nodes.sh", "stages/pretrain.py"],
        cwd=project,
        env=environment | ({"DVC_ROOT": original} if copied else {}),
        stdout=subprocess.PIPE,
        check=True,
    )
    assert (tmp_path / "log.nodes").read_text() == "node2\n"
    one, two = sorted(line.split("|") for line in log.read_text().splitlines())
    assert one[0] == two[0] == str(project)
    assert {one[1], two[1]} == ({original} if copied else {"", str(project)})
    assert one[2] == two[2]
    assert one[2].startswith("--nnodes 2 --nproc-per-node gpu --rdzv-backend c10d --rdzv-id ")
    assert one[2].endswith(" --rdzv-endpoint node1:29500 stages/pretrain.py")
