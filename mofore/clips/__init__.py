"""Training samples: clip sampling, augmentation, datasets and batch loading.

May import `mofore.frames` and the rooms before it.
"""
