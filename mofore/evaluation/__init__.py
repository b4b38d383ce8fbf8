"""What embeddings are worth: controls, linear and kNN scores, temporal stability, forecast skill, structure.

May import `mofore.training` and the rooms before it; no training ever depends on it.
"""
