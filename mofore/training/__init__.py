"""Pretraining: the step, the run from start or checkpoint to end, its log and its monitor; supervised training.

May import `mofore.embedding` and the rooms before it.
"""
