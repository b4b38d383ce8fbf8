"""A small project: the whole pipeline on little data, in a git repository of its own."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
SMALL = {
    "demo.groups": 4,
    "demo.clips": 1,
    "pretrain.epochs": 1,
    "pretrain.min_steps": 0,
    "pretrain.batch_size": 8,
    "embed.clips": 3,
    "clip.size": 32,
    "frames.short_side": 36,
    "runtime.workers": 1,
}


def environment(project: Path) -> dict[str, str]:
    """This environment, in which `python` is this one and `mofore` is the project's."""
    return os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(project),
        "GIT_CONFIG_GLOBAL": os.devnull,
    }


def run(*command: str, cwd: Path, status: int | None = 0) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; it must have the exit status given, if one is."""
    done = subprocess.run(command, cwd=cwd, env=environment(cwd), capture_output=True, text=True, check=False)
    assert status is None or done.returncode == status, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def edit(project: Path, values: Mapping[str, object]) -> None:
    """Change values in params.yaml, line by line."""
    lines, section, left = (project / "params.yaml").read_text().splitlines(), "", dict(values)
    for i, line in enumerate(lines):
        if match := re.match(r"(\w+):\s*(#.*)?$", line):
            section = match[1]
        key = re.match(r"  (\w+): +\S+", line)
        if key and (name := f"{section}.{key[1]}") in left:
            lines[i] = re.sub(r": +\S+", f": {left.pop(name)}", line, count=1)
    assert not left, left
    (project / "params.yaml").write_text("\n".join(lines) + "\n")


@contextmanager
def restored(*files: Path) -> Iterator[None]:
    """Write files back as they were, however the block ends, so that one failure does not cascade."""
    before = {file: file.read_bytes() for file in files}
    try:
        yield
    finally:
        for file, content in before.items():
            file.write_bytes(content)


@contextmanager
def restored_project(project: Path) -> Iterator[None]:
    """Bring a committed project back to its commit, however the block ends."""
    try:
        yield
    finally:
        run("git", "checkout", "-q", ".", cwd=project)
        run("dvc", "checkout", "-f", cwd=project)


def make_project(project: Path, values: Mapping[str, object]) -> None:
    """A copy of this project with other values in params.yaml, nothing run, as a git repository without a commit."""
    listed = run("git", "ls-files", "-co", "--exclude-standard", cwd=ROOT).stdout.splitlines()
    for name in listed:
        if (ROOT / name).is_file() and name != "dvc.lock" and not name.startswith(("results/", "tests/")):
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, project / name)
    edit(project, values)
    run("git", "init", "-q", "-b", "main", cwd=project)
    run("git", "config", "user.email", "test@example.org", cwd=project)
    run("git", "config", "user.name", "Test", cwd=project)
    (project / "results").mkdir(exist_ok=True)


def commit(project: Path) -> None:
    """Commit all that git does not ignore."""
    run("git", "add", "-A", cwd=project)
    run("git", "commit", "-qm", "small", cwd=project)
