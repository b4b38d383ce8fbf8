"""Each video decoded once into packs of JPEG frames (extract), and frames read back from them (store).

May import `mofore.runtime`, `mofore.utils` and the modules at the top.
"""
