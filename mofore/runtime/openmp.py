"""How threads wait for one another; to be imported before torch, which reads it once, when it is loaded.

A thread that comes to the end of its part of a parallel loop spins, for GNU's OpenMP about a millisecond, before it
sleeps. Where another program wants that core, this keeps the very thread away that is waited for: with one busy program
beside it on 2 cores, training ran at half the speed that it has with a short spin. Alone, both are equally fast.
"""

import os

os.environ.setdefault("GOMP_SPINCOUNT", "1000")
