"""Embeddings: computing them (inference, views), the encoder with random weights (calibration), files (store), collapse
diagnostics (geometry).

May import `mofore.method` and the rooms before it.
"""
