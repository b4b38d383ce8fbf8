"""Trains the same network from scratch on few labels, for the curve of `evaluation.few_labels`.

Each draw of labels gets a training of its own, with as many steps as the training on all labels: the labelled videos
are repeated. The network classifies the test videos itself, with the mean of the probabilities of their clips.

Shapes: V videos, K clips of each, L classes.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from torch import nn

from mofore.config import Params
from mofore.embedding.inference import UniformClips, embed_clips
from mofore.frames.store import FrameStore
from mofore.runtime.distributed import SINGLE, Processes
from mofore.splits import few_label_draws
from mofore.training.supervised import train_on_labels


def predictions(
    params: Params, train: FrameStore, test: FrameStore, device: torch.device, processes: Processes = SINGLE
) -> pd.DataFrame:
    """Train on each of the first `supervised.few_draws` draws of few labels, and classify the test videos.

    Args:
        params: all parameters.
        train: labelled training videos, enough for `train_on_labels`.
        test: videos to classify, each at least one clip long; their labels are not used.
        device: where to train.
        processes: the data-parallel processes.

    Returns:
        Columns labels (of each class), draw (from 0), video, predicted (a class). Empty on all ranks but 0.
    """
    table, samples = train.table, UniformClips(test, params.clip, params.embed.clips)
    draws = few_label_draws(
        table.label.to_numpy(str), table.group.to_numpy(str), params.supervised.few_draws, params.seed
    )
    found = []
    for labels, of_labels in draws.items():
        for draw, rows in enumerate(of_labels):
            labelled = train.select(np.resize(rows, len(train)))
            trained = train_on_labels(replace(params, seed=params.seed + draw), labelled, device, processes)
            network = nn.Sequential(trained.encoder, trained.classifier).eval()
            logits = embed_clips({"": network}, samples, params.runtime, device, processes)
            if not processes.is_main:
                continue
            share_VL = torch.tensor(logits[""]).softmax(dim=2).mean(dim=1)
            predicted = trained.classes_L[share_VL.argmax(dim=1).numpy()]
            columns = {"labels": labels, "draw": draw, "video": test.table.video, "predicted": predicted}
            found.append(pd.DataFrame(columns))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()
