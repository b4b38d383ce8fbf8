"""Read what a trained model forecasts from, and its targets, from the files of the stage `embed`.

Shapes: N clips, D feature dimensions or, of targets, projection dimensions.
"""

from dataclasses import replace
from pathlib import Path

from mofore.embedding.store import ClipEmbeddings, read_clip_embeddings
from mofore.method.model import MoFore


def read_forecast_inputs(folder: Path, model: MoFore) -> tuple[ClipEmbeddings, ClipEmbeddings]:
    """Features of the clips that a model forecasts from, of its own streams only, and its targets.

    Raises:
        UserError: a file is missing.
    """
    contexts = "mofore" if model.keep == "online" else "contexts"
    features, targets = (read_clip_embeddings(folder, name) for name in (contexts, "targets"))
    return replace(features, x_ND=features.x_ND[:, : model.encoder.dim]), targets
