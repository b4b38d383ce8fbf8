"""Reports written by the stage `report` for three made-up projects.

Their videos are labelled, have hostile or unusual class names, or are unlabelled.
"""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.helpers.report_project import make_project
from tests.helpers.synthetic_results import CLASSES

KINDS = ["labelled", "nasty", "unlabelled"]
ROOT = Path(__file__).parents[2]
HACK = "document.documentElement.dataset.hacked = 1"
NASTY = [  # class names that a page must escape, and others that may upset its layout
    f"<script>{HACK}</script>",
    f'"><img src=x onerror="{HACK}">',
    f"'-->]]></style></svg><svg onload='{HACK}'>",
    "a,b\n$5 & co; $title {body}",
    "_hidden",
    "NA",
    "Größe 跳躍 🏃",
    "W" * 200,
]


def run_report(project: Path) -> "subprocess.CompletedProcess[str]":
    script = str(ROOT / "stages" / "report.py")
    return subprocess.run([sys.executable, script], cwd=project, capture_output=True, text=True, check=False)


def page_of(project: Path) -> Path:
    """Write the report of a project and return the path of its page."""
    run = run_report(project)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    return project / "results" / "report.html"


def add_unreadable_videos(project: Path) -> None:
    """Add videos that could not be decoded. Their names and the reasons contain HTML."""
    path = project / "data" / "frames" / "videos.csv"
    bad = {"label": "", "group": "x", "split": "train", "frames": 0, "fps": 0, "width": 0, "height": 0}
    rows = [bad | {"video": f"{name}.avi", "status": "unreadable", "reason": name} for name in NASTY[:3]]
    pd.concat([pd.read_csv(path, keep_default_na=False), pd.DataFrame(rows)]).to_csv(path, index=False)


MADE: dict[str, Path] = {}


def report(kind: str, folders: pytest.TempPathFactory) -> Path:
    """Return the page of one of KINDS. It is written once and shared by all tests."""
    if kind not in MADE:
        classes = {"labelled": CLASSES, "nasty": NASTY, "unlabelled": []}[kind]
        project = make_project(folders.mktemp(kind), classes)
        if kind == "nasty":
            add_unreadable_videos(project)
        MADE[kind] = page_of(project)
    return MADE[kind]
