"""Commands about whole runs: presets of params.yaml, sweeps, ablations, and cleaning up after stopped runs.

This room may import every other room.
"""
