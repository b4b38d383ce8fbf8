"""The encoder that comes with the package. It was trained on generated videos only; see docs/shipped-encoder.md.

`mofore.experiments.shipped_encoder` makes it.
"""

from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from mofore.config import STREAMS
from mofore.method.encoders import Encoder, TwoStream, build_encoder

FOLDER = Path(__file__).with_name("shipped")
TRAINED_SHARE = 0.75  # of the weights of an averaged encoder; see docs/shipped-encoder.md
STREAM_OF = {"residual": "motion", "rgb": "appearance"}  # kind of input -> name of the stream, and of its file


def shipped_encoder(input: str) -> Encoder | TwoStream:
    """The network "small" with the shipped weights, for a kind of input: "residual", "rgb" or "two_stream"."""
    encoder = build_encoder("small", 0, input)
    if isinstance(encoder, TwoStream):
        for stream, name in zip(encoder.streams, STREAMS, strict=True):
            stream.load_state_dict(_weights(name))
    else:
        encoder.load_state_dict(_weights(STREAM_OF[input]))
    return encoder


def averaged_with_shipped(trained: Encoder | TwoStream, input: str) -> Encoder | TwoStream:
    """The encoder whose weights are TRAINED_SHARE of the trained ones and the rest of the shipped ones.

    An encoder that is trained further on few videos becomes better for these and worse for others. The mean of its
    weights before and after is often better than both, as in "Robust Fine-Tuning of Zero-Shot Models" (Wortsman et al.,
    2022). The statistics of batch normalisation are averaged, too.

    Args:
        trained: the result of pretraining, which started with the shipped weights; on the CPU, not changed.
        input: its kind of input.
    """
    averaged = shipped_encoder(input)
    state = averaged.state_dict()
    for name, value in trained.state_dict().items():
        if value.is_floating_point():
            state[name].lerp_(value, TRAINED_SHARE)
    return averaged.eval()


def whole_encoder(trained: Encoder | TwoStream, input: str) -> Encoder | TwoStream:
    """The encoder of a kind of input of which pretraining may have trained the motion stream only.

    Args:
        trained: the result of pretraining, on the CPU.
        input: kind of input of the whole encoder.

    Returns:
        `trained`; beside the shipped appearance stream, if `input` has two streams and `trained` is one.
    """
    if input == "two_stream" and isinstance(trained, Encoder):
        appearance = shipped_encoder("rgb")
        assert isinstance(appearance, Encoder)
        return TwoStream(trained, appearance)
    return trained


def _weights(name: str) -> dict[str, Tensor]:
    weights = load_file(FOLDER / f"{name}.safetensors")  # in half precision
    return {key: value.float() if value.is_floating_point() else value for key, value in weights.items()}
