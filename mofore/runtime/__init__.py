"""Hardware and processes: device and precision, distributed training, GPU locks, signals, OpenMP threads.

May import `mofore.utils` and the modules directly in `mofore`.
"""
