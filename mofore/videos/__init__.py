"""Where videos come from: drawn here (synthetic/), the user's folder, UCF101, HMDB51; downloads and archives.

Its result is the catalog, `data/raw/videos.csv`. May import `mofore.runtime` and the rooms before it, and the top.
"""
