"""Collections with a million frames are planned and their embeddings written within 2 GB."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads peaks of memory in /proc")
def test_a_million_rows_of_the_index_take_less_than_2_gb() -> None:
    command = [sys.executable, str(ROOT / "benchmarks/scale.py"), "--videos", "20000", "--frames", "50"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    peaks = dict(re.findall(r"^(\w+) +peak (\d+\.\d+) GB", said, re.MULTILINE))
    assert set(peaks) == {"torch", "pretrain", "embed"}
    assert all(float(peak) < 2 for peak in peaks.values()), peaks
