"""Each video decoded once into packs of JPEG frames (extract), and frames read back from them (store).

May import `mofore.videos` and the rooms before it.
"""
