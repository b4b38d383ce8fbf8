"""The method: encoders, the model around them, losses, objective, memory bank; the model in files and before training.

May import `mofore.clips` (for the number of input channels) and the rooms before it.
"""
