"""Score controls without training, on the videos on which `objectives.py` tests the trained encoders.

    random_init         the randomly initialised encoder, one for each seed, with its BatchNorm statistics measured on
                        the training videos (`mofore.embedding.calibration`)
    shipped             the shipped encoder, not trained further
    motion              histograms of optical flow and of frame differences, not learned (`mofore.evaluation.motion`)
    motion_appearance   these and the mean frame side by side
    metadata            frame size, length and frame rate, without pixels

Shapes: V videos, D feature dimensions, N test videos.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from objective_run import (
    Job,
    Point,
    Trained,
    compared_params,
    labelled_videos,
    merge_folds,
    score,
    score_features,
    split,
)

from mofore.config import Params
from mofore.embedding.calibration import untrained_encoder
from mofore.embedding.geometry import standardise
from mofore.embedding.store import FloatArray
from mofore.evaluation.controls import metadata_features, pixel_features
from mofore.frames.store import FrameStore
from mofore.method.shipped import shipped_encoder
from mofore.runtime.device import pick_device
from mofore.utils.workers import worker_count

CONTROLS = ("random_init", "shipped", "motion", "motion_appearance", "metadata")


def control_rows(frames: Path, start: str, seeds: list[int], folds: int) -> list[Trained]:
    """Results of all CONTROLS for each seed, over the split or over folds. Their budget is "none"."""
    params = compared_params(start)
    videos = labelled_videos(frames, params)
    appearance_VD, motion_VD = pixel_features(videos, worker_count(params.runtime.workers))
    features = {
        "motion": motion_VD,
        "motion_appearance": np.concatenate([motion_VD, appearance_VD], axis=1),
        "metadata": metadata_features(videos.table).astype(np.float32),
    }
    found = []
    for seed in seeds:
        params.seed = seed
        for name in CONTROLS:
            job = Job(name, start, {}, seed, "none", 0, [1.0], folds=folds)
            jobs = [replace(job, fold=fold) for fold in range(max(1, folds))]
            found.append(merge_folds([score_control(job, videos, features.get(name), params) for job in jobs]))
    return found


def score_control(job: Job, videos: FrameStore, x_VD: FloatArray | None, params: Params) -> Trained:
    """Score a control on the test videos of a job: its features [V, D]; if None, an encoder without training."""
    train_V, test_V = split(videos, params, job)
    order_V, n_train = np.concatenate([train_V, test_V]), len(train_V)
    scored = videos.select(order_V)
    if x_VD is None:
        device = pick_device(params.runtime)
        encoder = (
            shipped_encoder(params.clip.input)
            if job.method == "shipped"
            else untrained_encoder(videos.select(train_V), params, device)
        )
        hits = score(encoder, scored, n_train, params, device)
    else:
        is_train_V = np.arange(len(order_V)) < n_train
        hits = score_features(standardise(x_VD[order_V], is_train_V), scored, n_train, params)
    linear_N, nearest_N = (hit_N.astype(int).tolist() for hit_N in hits)
    table = videos.table.iloc[test_V]
    return Trained(job, [Point(0.0, 0, linear_N, nearest_N)], table.video.tolist(), table.group.tolist())
