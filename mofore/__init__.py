"""MoFore: self-supervised video representation learning by momentum-guided semantic forecasting."""

__version__ = "0.2.0"
