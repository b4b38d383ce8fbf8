"""`mofore doctor`."""

EXAMPLES = """
mofore doctor
"""


def doctor() -> None:
    """Say what this machine has, and try the training on it.

    Takes the parameters of params.yaml. Compares some steps of training on the device with the same steps on the CPU,
    measures whether the loader keeps up, and estimates the time and memory of each preset.
    """
    from mofore.experiments import doctor as library

    library.main()
