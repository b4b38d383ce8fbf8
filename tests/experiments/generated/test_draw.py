"""Generated videos: the same seeds give the same frames; a look changes pixels, a program what happens."""

import ast
from pathlib import Path

import numpy as np
import pytest

from mofore.experiments import generated
from mofore.experiments.generated.draw import HEIGHT, WIDTH, draw
from mofore.experiments.generated.program import Program, random_program

SECONDS, FRAMES = 4.0, 10


def program(setting: int, action: int) -> Program:
    return random_program(np.random.default_rng(setting), np.random.default_rng(action), SECONDS)


def video(setting: int, action: int, look: int) -> np.ndarray:
    return np.stack(list(draw(program(setting, action), np.random.default_rng(look), FRAMES, SECONDS)))


def test_frames_follow_from_the_seeds() -> None:
    first = video(1, 2, 3)
    assert first.shape == (FRAMES, HEIGHT, WIDTH, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, video(1, 2, 3))
    assert not np.array_equal(first, video(1, 2, 4))


def test_programs_of_one_setting_share_the_camera_and_not_the_action() -> None:
    for setting in range(20):
        a, b = program(setting, 100), program(setting, 101)
        assert (a.camera_across, a.camera_down, a.zoom, a.roll, a.flow) == (
            b.camera_across,
            b.camera_down,
            b.zoom,
            b.roll,
            b.flow,
        )
        assert [actor.path for actor in a.actors] == [actor.path for actor in b.actors]
        assert (a.actors, a.things) != (b.actors, b.things)


@pytest.mark.slow
def test_something_happens_in_nearly_every_video_and_pictures_differ() -> None:
    change, mean = [], []
    for seed in range(60):
        frames = video(seed, seed, seed).astype(np.float32)
        change.append(np.abs(np.diff(frames, axis=0)).mean())
        mean.append(frames.mean(axis=(0, 1, 2)))
    assert np.mean(np.array(change) > 1.5) > 0.9  # gray levels
    assert np.std(mean, axis=0).min() > 20


def test_nothing_of_the_demo_is_used() -> None:
    """The demo's scores must not profit from a start that has seen its actions and figures."""
    for file in Path(generated.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert node.module is not None
                assert not node.module.startswith("mofore.videos.synthetic"), file
