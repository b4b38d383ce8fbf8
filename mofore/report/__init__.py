"""Results as pictures and as one self-contained page: overview, filmstrips, embedding map, claims and warnings.

May import `mofore.evaluation` and the rooms before it.
"""
