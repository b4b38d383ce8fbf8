"""Sources of videos: synthetic ones (synthetic/), the user's folder, UCF101 and HMDB51; downloads and archives.

The results are the list of videos, `data/raw/files.csv` (prepare), and label, group and split of each (assign). May
import `mofore.runtime` and the rooms before it.
"""
