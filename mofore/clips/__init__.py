"""Training samples: clip sampling, augmentation, datasets and batch loading.

May import `mofore.frames` and the packages below it.
"""
