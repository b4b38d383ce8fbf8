"""Appearance says nothing of the class: classifiers on it stay within chance's interval.

Each row is one group's or one clip's draws, so rows are independent and the binomial interval holds.
"""

import dataclasses
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mofore.videos.synthetic.actions import ACTIONS
from mofore.videos.synthetic.appearance import Look, draw_look
from mofore.videos.synthetic.clip import Clip, draw_clip
from mofore.videos.synthetic.kinematics import Array
from mofore.videos.synthetic.scene import draw_background

CLASSES, GROUPS, SEED = len(ACTIONS), 24, 1

CLASSIFIERS = {
    "linear": make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300)),
    "forest": RandomForestClassifier(60, min_samples_leaf=3, random_state=0),
}


def sources() -> list[tuple[int, int]]:
    return [(index, group) for index in range(CLASSES) for group in range(1, GROUPS + 1)]


def hits(features: Array, classifier: str, labels: NDArray[np.int64], groups: NDArray[np.int64]) -> int:
    """Videos whose class is found by a classifier that has seen other groups only."""
    guess = cross_val_predict(CLASSIFIERS[classifier], features, labels, groups=groups, cv=GroupKFold(4))
    return int((guess == labels).sum())


def chance_bound(videos: int) -> int:
    """Upper end of chance's 99 % interval."""
    p, below = 1 / CLASSES, 0.0
    for found in range(videos + 1):
        below += math.comb(videos, found) * p**found * (1 - p) ** (videos - found)
        if below >= 0.995:
            break
    return found


def features_of_look(look: Look) -> list[float]:
    colours = [look.skin, look.hair, look.shirt, look.trousers, look.shoes, look.seat, look.ball]
    plain = [look.long_sleeves, look.long_trousers, look.hair_style, look.size, look.pitch, look.ground]
    return [
        *np.ravel(colours),
        *map(float, plain),
        look.seat_radius,
        look.ball_radius,
        *dataclasses.astuple(look.body),
    ]


def features_of_clip(clip: Clip) -> list[float]:
    return [
        *(clip.mirrored, clip.yaw, clip.size, clip.amplitude, clip.place_x, clip.place_y),
        *(clip.speed.mean(), clip.speed.std(), *np.quantile(clip.once, [0.1, 0.5, 0.9])),
        *clip.camera.mean(axis=0),
        *(clip.camera[-1] - clip.camera[0]),
        *np.diff(clip.camera, axis=0).std(axis=0),
        *(clip.gain.mean(), clip.gain.std()),
    ]


@pytest.fixture(scope="module")
def features() -> dict[str, Array]:
    """Features by kind, a row for each source."""
    rows: dict[str, list[list[float]]] = {"file": [], "look": [], "background": [], "clip": []}
    for index, group in sources():
        rng = np.random.default_rng(np.random.SeedSequence(SEED, spawn_key=(index, group)))
        look = draw_look(rng)
        background = draw_background(rng, look)
        clip = draw_clip(np.random.default_rng(np.random.SeedSequence(SEED, spawn_key=(index, group, 1))))
        small = cv2.resize(background, (6, 5), interpolation=cv2.INTER_AREA)
        rows["file"].append([clip.frames, clip.bytes, clip.bytes / clip.frames])
        rows["look"].append(features_of_look(look))
        rows["background"].append([*small.ravel().tolist(), *background.std(axis=(0, 1))])
        rows["clip"].append(features_of_clip(clip))
    return {kind: np.array(values, np.float64) for kind, values in rows.items()}


LABELS = np.array([index for index, _ in sources()])
GROUP_NUMBERS = np.array([group for _, group in sources()])


@pytest.mark.slow
@pytest.mark.parametrize("classifier", CLASSIFIERS)
@pytest.mark.parametrize("kind", ["file", "look", "background", "clip"])
def test_draws_tell_nothing_of_the_class(features: dict[str, Array], kind: str, classifier: str) -> None:
    assert hits(features[kind], classifier, LABELS, GROUP_NUMBERS) <= chance_bound(len(LABELS))


@pytest.mark.slow
@pytest.mark.parametrize("classifier", CLASSIFIERS)
@pytest.mark.parametrize("kind", ["file", "look", "background", "clip"])
def test_classifiers_would_find_a_leak(features: dict[str, Array], kind: str, classifier: str) -> None:
    leaky = features[kind].copy()
    leaky[:, :3] += leaky[:, :3].std(axis=0) * np.linspace(-2, 2, CLASSES)[LABELS, None]
    assert hits(leaky, classifier, LABELS, GROUP_NUMBERS) > chance_bound(len(LABELS))


def corners(frame: Array) -> Array:
    """Mean colours of the frame's four corners, where no figure comes."""
    tops, sides = (slice(20), slice(-12, None)), (slice(20), slice(-20, None))
    return np.ravel([frame[top, side].mean(axis=(0, 1)) for top in tops for side in sides])


@pytest.mark.slow
def test_files_and_their_corners_tell_nothing_of_the_class(demo: Path) -> None:
    """The same for real files: facts, and colours of the mean frame's corners."""
    rows: dict[str, list[Array]] = {"facts": [], "corners": []}
    sources = [(i, path) for i, name in enumerate(sorted(ACTIONS)) for path in (demo / "videos" / name).iterdir()]
    for _, path in sources:
        capture, frames = cv2.VideoCapture(str(path)), []
        while (read := capture.read())[0]:
            frames.append(np.asarray(read[1]))
        rows["facts"].append(
            np.array([len(frames), path.stat().st_size, capture.get(cv2.CAP_PROP_FPS), *frames[0].shape])
        )
        rows["corners"].append(corners(np.mean(frames, axis=0)))
    labels = np.array([i for i, _ in sources])
    groups = np.array([int(path.stem[-6:-4]) for _, path in sources])
    for features in rows.values():
        for classifier in CLASSIFIERS:
            assert hits(np.array(features), classifier, labels, groups) <= chance_bound(len(labels))
