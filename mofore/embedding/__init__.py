"""Embeddings: computing them (inference, views), the encoder before training (calibration), files (store), collapse
diagnostics (geometry).

May import `mofore.method` and the rooms before it.
"""
