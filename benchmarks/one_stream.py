"""The parameters of `pretrain.py`: those of params.yaml, but one stream of frame differences, from random weights.

So all ways of training that are compared have the same network, input and start.
"""

import torch

from mofore.config import Params, load_params


def one_stream_params() -> Params:
    """Read params.yaml and set input, start and pooling."""
    params = load_params()
    if params.runtime.device == "auto" and torch.cuda.is_available():
        params.runtime.device = "cuda:0"  # for all ways, which take turns: with auto each would lock a GPU of its own
    params.clip.input, params.encoder.start, params.embed.grid = "residual", "random", 0
    params.encoder.keep = "online"
    params.embed.spread, params.embed.standardise = 0, False
    return params
