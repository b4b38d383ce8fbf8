"""Opens pages in a real browser without network, and lets a script look at them from the inside."""

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(BROWSER is None, reason="needs chromium")
SIZES = ((360, 844), (1280, 900))  # of a phone and of a wide screen, in pixels


def browse(page: Path, tmp_path: Path) -> tuple[str, str]:
    """Load a page. Returns the DOM after loading, and the log of the browser."""
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--host-resolver-rules=MAP * ~NOTFOUND"]
    command += ["--enable-logging=stderr", "--v=0", "--virtual-time-budget=20000", "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, timeout=120, check=True, env=os.environ | {"LC_ALL": "C.UTF-8"})
    return done.stdout.decode("utf-8"), done.stderr.decode("utf-8", "replace")


def console_messages(log: str) -> list[str]:
    """The lines of a browser's log that the page has caused."""
    return [line for line in log.splitlines() if "CONSOLE" in line]


def probe(page: Path, script: str, tmp_path: Path) -> list[dict[str, Any]]:
    """What a script sees of a page in frames of SIZES, the narrow one first.

    Args:
        page: has a policy; the script takes its place, so that names could run as scripts, too.
        script: an element that posts one object to the page around the frame, with its width as `inner`.
        tmp_path: an empty or used folder.
    """
    text = page.read_text("utf-8")
    policy = re.findall(r'<meta http-equiv="Content-Security-Policy"[^>]*>', text)
    assert len(policy) == 1
    folder = tmp_path / "probed"
    folder.mkdir()
    (folder / "page.html").write_text(text.replace(policy[0], script), "utf-8")
    frames = "".join(
        f'<iframe src="page.html" style="border:0;width:{width}px;height:{height}px"></iframe>'
        for width, height in SIZES
    )
    collect = "document.body.dataset.seen = JSON.stringify(seen.push(message.data) && seen)"
    listen = f'const seen = []; addEventListener("message", message => {collect});'
    (folder / "around.html").write_text(f"<!doctype html><body>{frames}<script>{listen}</script>")
    dom, _ = browse(folder / "around.html", tmp_path)
    seen: list[dict[str, Any]] = json.loads(html.unescape(re.findall(r'data-seen="([^"]*)"', dom)[0]))
    return sorted(seen, key=lambda one: int(one["inner"]))
