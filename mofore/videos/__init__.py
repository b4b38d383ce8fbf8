"""Sources of videos: synthetic ones (synthetic/), the user's folder, UCF101 and HMDB51; downloads and archives.

The result is the catalog, `data/raw/videos.csv`. May import `mofore.runtime` and the rooms before it, and the top.
"""
