"""Helpers used throughout the package: files, tables, progress, scratch folders, message text, worker processes,
limits of the machine.

May import `mofore.errors` and `mofore.config`.
"""
