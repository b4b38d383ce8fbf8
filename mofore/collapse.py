"""When embeddings count as collapsed, in training and in the report."""

LEAST_RANK = 5.0  # directions
LEAST_SPREAD = 0.25  # of 1


def collapse(rank: float, spread: float) -> str:
    """Why embeddings of this effective rank and spread count as collapsed; empty if they do not."""
    if rank < LEAST_RANK:
        return f"effective rank {rank:.1f} is below {LEAST_RANK:g}"
    return f"spread {spread:.2f} is below {LEAST_SPREAD:g}" if spread < LEAST_SPREAD else ""
