"""Settings of OpenMP's threads. Import this before torch, which reads them when it is loaded.

OpenMP starts one thread for each core of this process. In a container that may use fewer cores' worth of time, these
would stop one another, so there it starts fewer.

A thread that has finished its part of a parallel loop spins before it sleeps, with GNU OpenMP for about a millisecond.
If other programs use the cores, this spinning delays the threads that still compute. Measured beside one busy program
on 2 cores, training with the default runs at half the speed of training with a short spin. On an idle machine both are
equally fast.
"""

import os

from mofore.utils.limits import cpu_quota, usable_cores

if cpu_quota() < (os.cpu_count() or 1):
    os.environ.setdefault("OMP_NUM_THREADS", str(usable_cores()))
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
