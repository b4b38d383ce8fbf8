"""The command `mofore`. `mofore doctor` looks at this machine."""

import argparse

from mofore.errors import run_stage


def main() -> None:
    """Parse the command line and run the verb."""
    parser = argparse.ArgumentParser(prog="mofore", description="Learn from video without labels.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("doctor", help="what this machine has, a trial of the training, what each preset would take")
    parser.parse_args()

    from mofore.experiments import doctor  # imported here, because torch takes seconds, and --help should not

    run_stage(doctor.main)
