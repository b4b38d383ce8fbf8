"""Commands about whole runs: presets, sweeps, ablations, comparisons on training sides, and what this machine can do.

Also cleaning up after stopped runs, and the command that makes the shipped encoder. May import all other rooms.
"""
