"""Helpers used throughout the package: files, tables, progress, scratch folders, message text, worker processes.

May import `mofore.errors` and `mofore.config`.
"""
