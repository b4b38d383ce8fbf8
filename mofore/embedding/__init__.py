"""Embeddings: computing them (inference, views), which streams they have (streams), the encoder with random weights
(calibration), files (store, feature_files), collapse diagnostics (geometry).

May import `mofore.method` and the rooms before it.
"""
