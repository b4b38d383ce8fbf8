"""MoFore: self-supervised video representation learning by momentum-guided semantic forecasting."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mofore.collection.dataframe import embed as embed

__version__ = "0.2.0"


def __getattr__(name: str) -> Any:
    """`mofore.embed`, imported when it is used: most commands and decoder processes need neither pandas nor torch."""
    if name == "embed":
        from mofore.collection.dataframe import embed

        return embed
    raise AttributeError(f"module 'mofore' has no attribute '{name}'")
