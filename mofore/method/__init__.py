"""The method of the paper: encoders, the model around them, losses, objective and memory bank.

May import `mofore.clips` (for the number of input channels) and the rooms before it.
"""
