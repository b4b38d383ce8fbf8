"""A small (2+1)D network, fast on a CPU.

Space and time are convolved one after the other, as in "A Closer Look at Spatiotemporal Convolutions for Action
Recognition" (Tran et al., 2018). What costs a CPU more time than it brings is left out: shortcuts, which a network this
shallow does without; a normalisation between space and time; work at half resolution, which the stem skips.

Shapes: B batch, C channels, T frames, H height, W width.
"""

from torch import nn


def conv_2plus1d(c_in: int, c_out: int, time_stride: int) -> nn.Sequential:
    """Halves the side and divides the time by `time_stride`: space (1x3x3), then time (3x1x1)."""
    return nn.Sequential(
        nn.Conv3d(c_in, c_out, (1, 3, 3), (1, 2, 2), (0, 1, 1), bias=False),
        nn.ReLU(inplace=True),
        nn.Conv3d(c_out, c_out, (3, 1, 1), (time_stride, 1, 1), (1, 0, 0), bias=False),
        nn.BatchNorm3d(c_out),
        nn.ReLU(inplace=True),
    )


class SmallR2Plus1D(nn.Sequential):
    """[B, C, T, H, W] to globally pooled features [B, dim]; made for clips of 8 frames of 56x56.

    The last normalisation gives all features the same weight in a cosine similarity, rare ones as well as common ones.
    """

    def __init__(self, channels: int = 3, width: int = 48) -> None:
        super().__init__(
            nn.Conv3d(channels, width, (1, 7, 7), (1, 4, 4), (0, 3, 3), bias=False),
            nn.BatchNorm3d(width),
            nn.ReLU(inplace=True),
            conv_2plus1d(width, 2 * width, time_stride=1),
            conv_2plus1d(2 * width, 4 * width, time_stride=2),
            nn.AdaptiveAvgPool3d(1),
            nn.Flatten(),
            nn.BatchNorm1d(4 * width, affine=False),
        )
        self.dim = 4 * width
