"""Encoders at work on one's own videos, without DVC: embed, search, sort, surprise, export, explore.

May import `mofore.report` and the rooms before it.
"""
