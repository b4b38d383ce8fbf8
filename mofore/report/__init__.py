"""Draw the results and write the report page: overview, filmstrips, embedding map, claims and warnings.

May import `mofore.evaluation` and the rooms before it.
"""
