"""What no training stands behind, on the videos that `objectives.py` tests the trained encoders on.

    random_init   the encoder with its first, random weights, one for each seed
    motion        histograms of optical flow and of frame differences; nothing learned (`mofore.evaluation.motion`)
    metadata      frame size, length and frame rate; no pixels

Shapes: V videos, D features.
"""

from pathlib import Path

import numpy as np
from objective_run import Job, Point, Trained, labelled_videos, merge_folds, recognised, score, split

from mofore.clips.augment import input_channels
from mofore.config import Params, load_params
from mofore.embedding.store import FloatArray
from mofore.evaluation.controls import metadata_features, pixel_features, standardise
from mofore.frames.store import FrameStore
from mofore.method.encoders import build_encoder
from mofore.runtime.device import pick_device
from mofore.utils.workers import worker_count

CONTROLS = ("random_init", "motion", "metadata")


def control_rows(frames: Path, seeds: list[int], folds: int) -> list[Trained]:
    """All of CONTROLS, for each seed; their budget is "none"."""
    params = load_params()
    videos = labelled_videos(frames, params)
    features = {
        "motion": pixel_features(videos, worker_count(params.runtime.workers))[1],
        "metadata": metadata_features(videos.table).astype(np.float32),
    }
    found = []
    for seed in seeds:
        params.seed = seed
        for name in CONTROLS:
            jobs = [Job(name, {}, seed, "none", 0, [1.0], fold=fold, folds=folds) for fold in range(max(1, folds))]
            found.append(merge_folds([tested(job, videos, features.get(name), params) for job in jobs]))
    return found


def tested(job: Job, videos: FrameStore, x_VD: FloatArray | None, params: Params) -> Trained:
    """What features, or the encoder with random weights, recognise of a job's test videos."""
    train_V, test_V = split(videos, params, job)
    order_V, trained = np.concatenate([train_V, test_V]), len(train_V)
    scored = videos.select(order_V)
    if x_VD is None:
        device = pick_device(params.runtime)
        encoder = build_encoder(params.encoder.name, params.seed, input_channels(params.clip.input)).to(device)
        hits = score(encoder, scored, trained, params, device)
    else:
        known_V = np.arange(len(order_V)) < trained
        hits = recognised(standardise(x_VD[order_V], known_V), scored, trained, params)
    linear_N, nearest_N = (hit_N.astype(int).tolist() for hit_N in hits)
    table = videos.table.iloc[test_V]
    return Trained(job, [Point(0.0, 0, linear_N, nearest_N)], table.video.tolist(), table.group.tolist())
