"""Decode each video once into packs of JPEG frames (extract), and read frames back from them (store).

May import `mofore.videos` and the rooms before it.
"""
