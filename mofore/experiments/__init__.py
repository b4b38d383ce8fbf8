"""Over whole runs: presets of params.yaml, sweeps, ablations, and what stopped runs have left behind.

May import every other room.
"""
