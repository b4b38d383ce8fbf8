"""Encoders at work: clips to embeddings (inference, views), embeddings on disk (store), their geometry.

May import `mofore.method` and the rooms before it.
"""
