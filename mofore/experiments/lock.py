"""Whether the results of a commit are those of its own code and parameters, according to its `dvc.lock`.

A commit may hold scores of older code: someone edits a file or a parameter and commits it without `dvc repro`.
"""

import io
import json
import subprocess
import tarfile
from functools import cache
from hashlib import md5
from pathlib import PurePosixPath
from typing import Any

import yaml
from omegaconf import OmegaConf
from pathspec import GitIgnoreSpec

from mofore.config import PARAMS_FILE

LOCK_FILE = "dvc.lock"


def read_committed(rev: str, file: str) -> str:
    """The text of a file in a commit; empty if the commit lacks it."""
    done = subprocess.run(["git", "show", f"{rev}:./{file}"], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def stage_is_current(rev: str, stage: str) -> bool:
    """Whether a stage, and each stage before it, last ran with the code and the parameters of this commit.

    Videos of the user are not in the commit, so they are taken to be as they were.
    """
    stages: dict[str, Any] = (yaml.safe_load(read_committed(rev, LOCK_FILE)) or {}).get("stages", {})
    maker = {out["path"]: (name, out["md5"]) for name, entry in stages.items() for out in entry.get("outs", [])}
    hash_of = _hashes(rev)
    params = OmegaConf.create(read_committed(rev, PARAMS_FILE))

    @cache
    def is_current(name: str) -> bool:
        if name not in stages:
            return False
        used = stages[name].get("params", {}).get(PARAMS_FILE, {})
        if any(OmegaConf.select(params, key) != value for key, value in used.items()):
            return False
        for dep in stages[name].get("deps", []):
            made_by, wanted = maker.get(dep["path"], ("", hash_of.get(dep["path"], dep["md5"])))
            if dep["md5"] != wanted or (made_by and not is_current(made_by)):
                return False
        return True

    return is_current(stage)


def _hashes(rev: str) -> dict[str, str]:
    """The hashes of the files and folders of a commit, by path, as DVC computes them."""
    hashes = _files(rev)
    folders: dict[str, list[dict[str, str]]] = {}
    for path, of_file in sorted(hashes.items()):
        for above in PurePosixPath(path).parents[:-1]:
            folders.setdefault(str(above), []).append({"md5": of_file, "relpath": path.removeprefix(f"{above}/")})
    for path, listed in folders.items():
        hashes[path] = f"{md5(json.dumps(listed).encode()).hexdigest()}.dir"
    return hashes


def _files(rev: str) -> dict[str, str]:
    """The hash of each file of a commit, without those that DVC ignores."""
    ignored = GitIgnoreSpec.from_lines(read_committed(rev, ".dvcignore").splitlines())
    archive = subprocess.run(["git", "archive", rev, "."], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {
            member.name: md5(content.read()).hexdigest()
            for member in tar
            if (content := tar.extractfile(member)) and not ignored.match_file(member.name)
        }
