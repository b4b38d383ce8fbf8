"""Backgrounds: their size, their variety, and their dependence on the seed and the ground only."""

from dataclasses import replace

import numpy as np
import pytest

from mofore.videos.synthetic import scene
from mofore.videos.synthetic.appearance import HEIGHT, WIDTH, Appearance, Image, sample_appearance
from mofore.videos.synthetic.scene import MARGIN, SCALE, draw_background

SHAPE = (HEIGHT + 2 * MARGIN, WIDTH + 2 * MARGIN, 3)


@pytest.fixture(scope="module")
def appearance() -> Appearance:
    return sample_appearance(np.random.default_rng(0))


@pytest.fixture(scope="module")
def backgrounds(appearance: Appearance) -> list[Image]:
    return [draw_background(np.random.default_rng(seed), appearance) for seed in range(20)]


def test_backgrounds_have_a_margin_on_each_side(backgrounds: list[Image]) -> None:
    assert {background.shape for background in backgrounds} == {SHAPE}
    assert {background.dtype for background in backgrounds} == {np.dtype(np.uint8)}


def test_no_background_is_empty_and_no_two_are_alike(backgrounds: list[Image]) -> None:
    assert min(background.std() for background in backgrounds) > 8
    for i, one in enumerate(backgrounds):
        for other in backgrounds[:i]:
            assert np.abs(one.astype(int) - other).mean() > 5


def test_only_the_ground_of_an_appearance_matters(appearance: Appearance) -> None:
    other = sample_appearance(np.random.default_rng(9))
    drawn = [
        draw_background(np.random.default_rng(4), variant)
        for variant in (appearance, replace(other, ground=appearance.ground), replace(appearance, ground=90.0))
    ]
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


@pytest.mark.parametrize("kind", ["_room", "_park", "_shore"])
def test_each_kind_of_scene_fills_the_whole_canvas(kind: str) -> None:
    for seed in range(5):
        canvas = np.zeros((SHAPE[0] * SCALE, SHAPE[1] * SCALE, 3), np.uint8)
        getattr(scene, kind)(np.random.default_rng(seed), canvas, 200)
        assert (canvas.max(axis=2) > 0).mean() > 0.999


def test_all_kinds_of_scene_occur_at_their_rates(appearance: Appearance, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = {"_room": 0, "_park": 0, "_shore": 0}
    for kind in drawn:

        def count(rng: np.random.Generator, canvas: Image, horizon: int, kind: str = kind) -> None:
            drawn[kind] += 1

        monkeypatch.setattr(scene, kind, count)
    for seed in range(400):
        draw_background(np.random.default_rng(seed), appearance)
    shares = [drawn[kind] / 400 for kind in drawn]
    assert shares == pytest.approx([0.5, 0.3, 0.2], abs=0.08)  # over three standard errors


def test_lighting_keeps_the_mean_and_darkens_the_corners() -> None:
    grey = np.full(SHAPE, 128, np.uint8)
    for seed in range(10):
        lit = scene._add_lighting(np.random.default_rng(seed), grey).astype(float)
        centre = lit[60:90, 80:110].mean()
        outer = np.mean([lit[y, x].mean() for y in (slice(8), slice(-8, None)) for x in (slice(8), slice(-8, None))])
        assert centre == pytest.approx(128, abs=3)
        assert outer < centre - 2
