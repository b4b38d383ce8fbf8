"""A model forecasts from the features of its own streams."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mofore.config import Params
from mofore.evaluation.forecast_inputs import read_forecast_inputs
from mofore.method.encoders import build_encoder
from mofore.method.model import MoFore
from tests.helpers.clip_files import write_clip_embeddings


@pytest.mark.parametrize("keep", ["online", "ema"])
def test_a_model_of_one_stream_forecasts_from_its_own_features(tmp_path: Path, params: Params, keep: str) -> None:
    model = MoFore(build_encoder("small", 0), params.forecast, keep)
    table = pd.DataFrame({"video": ["a", "b"]})
    both_VKD, own_VKD, target_VKP = (np.random.default_rng(0).normal(size=(2, 3, dim)) for dim in (384, 192, 128))
    files = {"mofore": both_VKD, "targets": target_VKP} | ({"contexts": own_VKD} if keep == "ema" else {})
    for name, x_VKD in files.items():
        starts_VK = np.zeros((2, 3), np.int64)
        write_clip_embeddings(tmp_path / f"{name}_clips.parquet", table, starts_VK, x_VKD.astype(np.float32))
    features, targets = read_forecast_inputs(tmp_path, model)
    expected_VKD = own_VKD if keep == "ema" else both_VKD[:, :, :192]
    np.testing.assert_allclose(features.x_ND, expected_VKD.reshape(6, 192), rtol=1e-5)
    np.testing.assert_allclose(targets.x_ND, target_VKP.reshape(6, 128), rtol=1e-5)
