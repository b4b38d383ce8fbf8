"""Helpers of every room: files, tables, progress, scratch folders, text for messages, worker processes.

May import `mofore.errors` and `mofore.config`.
"""
