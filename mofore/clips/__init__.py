"""Which frames make a training sample, how they are augmented, and how batches of them are loaded.

May import `mofore.frames` and the rooms before it.
"""
