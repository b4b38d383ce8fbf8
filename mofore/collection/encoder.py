"""The encoder that a command uses: the shipped one, or one that was trained, from its folder."""

import json
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path

from mofore.config import Clip
from mofore.errors import UserError
from mofore.method.encoders import Encoder, TwoStream, load_encoder
from mofore.method.shipped import shipped_encoder

SHIPPED = "shipped"
SHIPPED_CLIP = Clip(frames=8, stride=3, size=56, crop="none", input="two_stream")
MARGIN = 8 / 7  # stored frames are larger than clips by this, as in the presets: 64 pixels for clips of 56


@dataclass(frozen=True)
class LoadedEncoder:
    """An encoder with what it takes to use it.

    Attributes:
        network: in eval mode, on the CPU.
        name: of the network, see `build_encoder`.
        clip: the clips that it takes.
        source: "shipped", or the absolute path of its folder.
        hash: of weights and clip parameters.
    """

    network: Encoder | TwoStream
    name: str
    clip: Clip
    source: str
    hash: str

    @property
    def short_side(self) -> int:
        """Pixels of the short side to which frames are shrunk before they are squeezed or cut to clips."""
        return round(self.clip.size * MARGIN)


def open_encoder(source: str | Path = SHIPPED) -> LoadedEncoder:
    """Load an encoder.

    Args:
        source: "shipped", or a folder with `encoder.safetensors` and `encoder.json`, such as `data/model`.

    Raises:
        UserError: the folder holds no encoder, or one that cannot be read.
    """
    if str(source) == SHIPPED:
        network, name, clip, found = shipped_encoder(SHIPPED_CLIP.input), "small", SHIPPED_CLIP, SHIPPED
    else:
        folder = Path(source)
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder: give `shipped`, or a folder with encoder.json, as data/model")
        try:
            network, name, clip = load_encoder(folder)
        except UserError:
            raise UserError(f"{folder}: holds no encoder (encoder.json and encoder.safetensors)") from None
        except Exception as error:  # damaged in any way
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise UserError(f"{folder}: its encoder cannot be read: {reason}") from None
        found = str(folder.resolve())
    network.eval()
    return LoadedEncoder(network, name, clip, found, _hash(network, name, clip))


def _hash(network: Encoder | TwoStream, name: str, clip: Clip) -> str:
    key = blake2b(json.dumps([name, asdict(clip)], sort_keys=True).encode(), digest_size=12)
    for weight_name, value in sorted(network.state_dict().items()):
        key.update(weight_name.encode())
        key.update(value.detach().cpu().contiguous().numpy().tobytes())
    return key.hexdigest()
