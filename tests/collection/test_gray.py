"""Gray levels, and what moves in them."""

import numpy as np

from mofore.collection.gray import frame_difference, to_gray


def test_gray_levels_and_their_differences() -> None:
    clips_BTHW3 = np.zeros((2, 3, 4, 4, 3), np.uint8)
    clips_BTHW3[0, 1] = 255  # a flash
    clips_BTHW3[1, :, :, :, 1] = 100  # green, for all time
    gray_BTHW = to_gray(clips_BTHW3)
    np.testing.assert_allclose(gray_BTHW[0, :, 0, 0], [0, 255, 0], rtol=1e-6)
    np.testing.assert_allclose(gray_BTHW[1], 58.7, rtol=1e-6)
    np.testing.assert_allclose(frame_difference(gray_BTHW), [255, 0], atol=1e-4)
    np.testing.assert_allclose(frame_difference(gray_BTHW[0]), 255, rtol=1e-6)
