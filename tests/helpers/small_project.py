"""Makes a small project: the whole pipeline on little data, in its own git repository."""

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
    """Return the environment for a project's commands: `python` is the running one, `mofore` is the project's."""
    return os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(project),
        "GIT_CONFIG_GLOBAL": os.devnull,
    }


def run(*command: str, cwd: Path, status: int | None = 0) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and check its exit status; None: any status is accepted."""
    done = subprocess.run(command, cwd=cwd, env=environment(cwd), capture_output=True, text=True, check=False)
    assert status is None or done.returncode == status, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def edit(project: Path, values: Mapping[str, object]) -> None:
    """Change values in params.yaml. All other text, comments included, stays as it is."""
    lines, section, left = (project / "params.yaml").read_text().splitlines(), "", dict(values)
    for i, line in enumerate(lines):
        if match := re.match(r"(\w+):\s*(#.*)?$", line):
            section = match[1]
        key = re.match(r"  (\w+): +\S+", line)
        if key and (name := f"{section}.{key[1]}") in left:
            lines[i] = re.sub(r": +\S+", f": {left.pop(name)}", line, count=1)
    assert not left, left
    (project / "params.yaml").write_text("\n".join(lines) + "\n")


def set_launcher(project: Path, launcher: str) -> None:
    """Set `runtime.launcher`, whatever it was."""
    params = project / "params.yaml"
    params.write_text(re.sub(r"(?m)^  launcher: .*", f"  launcher: {launcher}", params.read_text()))


@contextmanager
def restored(*files: Path) -> Iterator[None]:
    """Restore files at the end of the block, even after an error, so that one failure does not cause others."""
    before = {file: file.read_bytes() for file in files}
    try:
        yield
    finally:
        for file, content in before.items():
            file.write_bytes(content)


@contextmanager
def restored_project(project: Path) -> Iterator[None]:
    """Restore a committed project to its commit at the end of the block, even after an error."""
    try:
        yield
    finally:
        run("git", "checkout", "-q", ".", cwd=project)
        run("dvc", "checkout", "-f", cwd=project)


def make_project(project: Path, values: Mapping[str, object]) -> None:
    """Copy this project into a new git repository without a commit, and change values in its params.yaml.

    No stage has run in the copy.
    """
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
    """Commit all files that git does not ignore."""
    run("git", "add", "-A", cwd=project)
    run("git", "commit", "-qm", "small", cwd=project)
