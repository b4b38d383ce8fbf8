"""What the paper is about: encoders, the model around them, losses, the objective, the memory bank.

May import `mofore.clips` (for the input that a clip becomes) and the rooms before it.
"""
