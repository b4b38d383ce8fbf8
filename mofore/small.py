"""A small (2+1)D residual network, fast on a CPU.

Space and time are convolved one after the other, as in "A Closer Look at Spatiotemporal Convolutions for Action
Recognition" (Tran et al., 2018).

Shapes: B batch, C channels, T frames, H height, W width.
"""

from torch import Tensor, nn


class Block(nn.Module):
    """Space (1x3x3), then time (3x1x1), around a shortcut."""

    def __init__(self, c_in: int, c_out: int, time_stride: int, space_stride: int) -> None:
        super().__init__()
        stride = (time_stride, space_stride, space_stride)
        self.space = nn.Conv3d(c_in, c_out, (1, 3, 3), (1, *stride[1:]), (0, 1, 1), bias=False)
        self.space_norm = nn.BatchNorm3d(c_out)
        self.time = nn.Conv3d(c_out, c_out, (3, 1, 1), (time_stride, 1, 1), (1, 0, 0), bias=False)
        self.time_norm = nn.BatchNorm3d(c_out)
        self.shortcut = nn.Sequential(nn.Conv3d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm3d(c_out))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        y_BCTHW = self.relu(self.space_norm(self.space(x_BCTHW)))
        y_BCTHW = self.time_norm(self.time(y_BCTHW))
        return self.relu(y_BCTHW + self.shortcut(x_BCTHW))


class SmallR2Plus1D(nn.Sequential):
    """[B, 3, T, H, W] to globally pooled features [B, dim]; 8x56x56 clips are what it was measured on."""

    def __init__(self, width: int = 24) -> None:
        super().__init__(
            nn.Conv3d(3, width, (1, 5, 5), (1, 2, 2), (0, 2, 2), bias=False),
            nn.BatchNorm3d(width),
            nn.ReLU(inplace=True),
            Block(width, 2 * width, 1, 2),
            Block(2 * width, 4 * width, 2, 2),
            Block(4 * width, 8 * width, 2, 2),
            nn.AdaptiveAvgPool3d(1),
            nn.Flatten(),
        )
        self.dim = 8 * width
