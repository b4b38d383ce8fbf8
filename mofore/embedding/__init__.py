"""Embeddings: computing them (inference, views), files (store), collapse diagnostics (geometry).

May import `mofore.method` and the rooms before it.
"""
