"""A small demo, made once per session: 14 classes, 4 groups per class, 1 video per group."""

from pathlib import Path

import pytest
from hypothesis import settings

from mofore.videos.synthetic.make import make_demo

settings.register_profile("untimed", deadline=None)  # the time of an example depends on the machine's load
settings.load_profile("untimed")

GROUPS, CLIPS, SEED = 4, 1, 5


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("demo")
    make_demo(root, GROUPS, CLIPS, SEED, workers=2)
    return root
