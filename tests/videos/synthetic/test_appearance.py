"""Appearance does not reveal the class: classifiers trained on it stay within the interval of chance.

Each row of features comes from another group, so the rows are independent and the binomial interval is valid.
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
from mofore.videos.synthetic.appearance import Appearance, sample_appearance
from mofore.videos.synthetic.clip import DemoClip, sample_demo_clip
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
    """Count the videos that a classifier trained on other groups classifies correctly."""
    guess = cross_val_predict(CLASSIFIERS[classifier], features, labels, groups=groups, cv=GroupKFold(4))
    return int((guess == labels).sum())


def chance_bound(videos: int) -> int:
    """Return the upper end of the central 99 % interval of the number of hits by chance."""
    p, below = 1 / CLASSES, 0.0
    for found in range(videos + 1):
        below += math.comb(videos, found) * p**found * (1 - p) ** (videos - found)
        if below >= 0.995:
            break
    return found


def features_of_appearance(appearance: Appearance) -> list[float]:
    colours = [
        appearance.skin,
        appearance.hair,
        appearance.shirt,
        appearance.trousers,
        appearance.shoes,
        appearance.seat,
        appearance.ball,
    ]
    plain = [
        appearance.long_sleeves,
        appearance.long_trousers,
        appearance.hair_style,
        appearance.size,
        appearance.pitch,
        appearance.ground,
    ]
    return [
        *np.ravel(colours),
        *map(float, plain),
        appearance.seat_radius,
        appearance.ball_radius,
        *dataclasses.astuple(appearance.body),
    ]


def features_of_clip(clip: DemoClip) -> list[float]:
    return [
        *(clip.mirrored, clip.yaw, clip.size, clip.amplitude, clip.offset_x, clip.offset_y),
        *(clip.speed.mean(), clip.speed.std(), *np.quantile(clip.once_phase, [0.1, 0.5, 0.9])),
        *clip.camera_shift.mean(axis=0),
        *(clip.camera_shift[-1] - clip.camera_shift[0]),
        *np.diff(clip.camera_shift, axis=0).std(axis=0),
        *(clip.gain.mean(), clip.gain.std()),
    ]


@pytest.fixture(scope="module")
def features() -> dict[str, Array]:
    """Features by kind, one row per source (class and group)."""
    rows: dict[str, list[list[float]]] = {"file": [], "appearance": [], "background": [], "clip": []}
    for index, group in sources():
        rng = np.random.default_rng(np.random.SeedSequence(SEED, spawn_key=(index, group)))
        appearance = sample_appearance(rng)
        background = draw_background(rng, appearance)
        clip = sample_demo_clip(np.random.default_rng(np.random.SeedSequence(SEED, spawn_key=(index, group, 1))))
        small = cv2.resize(background, (6, 5), interpolation=cv2.INTER_AREA)
        rows["file"].append([clip.frames, clip.file_bytes, clip.file_bytes / clip.frames])
        rows["appearance"].append(features_of_appearance(appearance))
        rows["background"].append([*small.ravel().tolist(), *background.std(axis=(0, 1))])
        rows["clip"].append(features_of_clip(clip))
    return {kind: np.array(values, np.float64) for kind, values in rows.items()}


LABELS = np.array([index for index, _ in sources()])
GROUP_NUMBERS = np.array([group for _, group in sources()])


@pytest.mark.slow
@pytest.mark.parametrize("classifier", CLASSIFIERS)
@pytest.mark.parametrize("kind", ["file", "appearance", "background", "clip"])
def test_sampled_properties_do_not_reveal_the_class(features: dict[str, Array], kind: str, classifier: str) -> None:
    assert hits(features[kind], classifier, LABELS, GROUP_NUMBERS) <= chance_bound(len(LABELS))


@pytest.mark.slow
@pytest.mark.parametrize("classifier", CLASSIFIERS)
@pytest.mark.parametrize("kind", ["file", "appearance", "background", "clip"])
def test_the_classifiers_detect_a_leak(features: dict[str, Array], kind: str, classifier: str) -> None:
    leaky = features[kind].copy()
    leaky[:, :3] += leaky[:, :3].std(axis=0) * np.linspace(-2, 2, CLASSES)[LABELS, None]
    assert hits(leaky, classifier, LABELS, GROUP_NUMBERS) > chance_bound(len(LABELS))


def corners(frame: Array) -> Array:
    """Return the mean colours of the frame's four corners, which no figure reaches."""
    tops, sides = (slice(20), slice(-12, None)), (slice(20), slice(-20, None))
    return np.ravel([frame[top, side].mean(axis=(0, 1)) for top in tops for side in sides])


@pytest.mark.slow
def test_files_and_their_corners_do_not_reveal_the_class(demo: Path) -> None:
    """The same for video files: their metadata, and the corner colours of their mean frame."""
    rows: dict[str, list[Array]] = {"metadata": [], "corners": []}
    sources = [(i, path) for i, name in enumerate(sorted(ACTIONS)) for path in (demo / "videos" / name).iterdir()]
    for _, path in sources:
        capture, frames = cv2.VideoCapture(str(path)), []
        while (read := capture.read())[0]:
            frames.append(np.asarray(read[1]))
        rows["metadata"].append(
            np.array([len(frames), path.stat().st_size, capture.get(cv2.CAP_PROP_FPS), *frames[0].shape])
        )
        rows["corners"].append(corners(np.mean(frames, axis=0)))
    labels = np.array([i for i, _ in sources])
    groups = np.array([int(path.stem[-6:-4]) for _, path in sources])
    for features in rows.values():
        for classifier in CLASSIFIERS:
            assert hits(np.array(features), classifier, labels, groups) <= chance_bound(len(labels))
