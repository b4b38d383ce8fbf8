"""The machine: device and precision, several processes, GPU locks, signals, threads.

May import `mofore.utils` and the modules at the top.
"""
