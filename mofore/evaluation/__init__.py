"""Evaluation of embeddings: controls, linear and kNN scores, temporal stability, forecast skill, structure.

This room may import `mofore.training` and the rooms below it. No training code imports this room.
"""
