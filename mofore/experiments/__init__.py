"""Commands about whole runs: presets of params.yaml, sweeps, ablations, and cleaning up after stopped runs.

May import all other rooms.
"""
