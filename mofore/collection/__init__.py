"""Encoders at work on one's own videos, without DVC: embed, health, search, duplicates, sort, surprise,
explore, export.

May import `mofore.report` and the rooms before it.
"""
