"""The report: one self-contained page with the scores of a run, their controls, and what may be claimed."""
