"""`mofore sweep`."""

from typing import Annotated

import typer

EXAMPLES = """
mofore sweep forecast.gap_max
mofore sweep data.split
"""


def sweep(
    key: Annotated[str, typer.Argument(metavar="KEY", help="The parameter, as for dvc exp run -S.")],
) -> None:
    """Tabulate and plot scores against one parameter.

    Reads the DVC experiments of the current commit that differ in this parameter only, or in the seed or the split of
    the data. Writes sweeps/KEY.csv and sweeps/KEY.png.
    """
    from mofore.experiments.sweep import sweep as tabulate

    tabulate(key)
