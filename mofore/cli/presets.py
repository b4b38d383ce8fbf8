"""`mofore presets`."""

from typing import Annotated

import typer

EXAMPLES = """
mofore presets
mofore presets ucf101
mofore presets ucf101 pretrain.epochs=100
"""


def presets(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The preset.", show_default=False)] = "",
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Values to change in it.", show_default=False)
    ] = None,
) -> None:
    """List the presets, or switch params.yaml to one of them.

    Only values change: comments, order and layout of params.yaml stay, and so does its section runtime.
    """
    from mofore.experiments.presets import list_or_switch

    list_or_switch([name, *(overrides or [])] if name else [])
