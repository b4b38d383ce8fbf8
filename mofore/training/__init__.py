"""Training: the step, the loop, checkpoints, logs and monitoring of pretraining; supervised training.

May import `mofore.embedding` and the rooms before it.
"""
