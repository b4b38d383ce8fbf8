"""Compare representations of the same videos with the first of them, in a score that is a share of test videos.

Shapes: N test videos.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from mofore.embedding.geometry import is_constant
from mofore.embedding.store import Embeddings
from mofore.evaluation.bootstrap import with_interval

NOT_SCORED = "not scored: the split needs labelled test videos and two classes for training"


def beside_first(
    rows: dict[str, Embeddings], hits: dict[str, npt.NDArray[np.bool_]]
) -> Iterator[tuple[str, dict[str, float]]]:
    """What is known of each representation beside its own score.

    Args:
        rows: representations of the same videos, by name.
        hits: for each of them, whether each labelled test video is right [N].

    Yields:
        Its name, and
        lead, lead_low, lead_high (not for the first): share of right videos of the first minus that of this one, with
            the 95 % interval over groups of the difference;
        constant (only where so): 1, the embedding is the same for all videos, so it is no control.
    """
    first = next(iter(rows))
    group_N = rows[first].labelled("test").group
    for name, row in rows.items():
        scores = {} if name == first else with_interval("lead", hits[first].astype(float) - hits[name], group_N)
        yield name, scores | ({"constant": 1.0} if is_constant(row.x_ND) else {})
