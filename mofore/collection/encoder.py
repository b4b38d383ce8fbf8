"""The encoder that a command uses: the shipped one, or one that was trained, from its folder.

`describe_encoder` needs no torch, which takes seconds to load: only the processes that embed need the network itself.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file

import mofore.method
from mofore.collection.reasons import first_line
from mofore.config import STREAMS, Clip
from mofore.errors import UserError

if TYPE_CHECKING:
    from mofore.method.encoders import Encoder, TwoStream

SHIPPED = "shipped"
SHIPPED_CLIP = Clip(frames=8, stride=3, size=56, crop="none", input="two_stream")
SHIPPED_FOLDER = Path(mofore.method.__file__).with_name("shipped")
MARGIN = (
    8 / 7
)  # frames are first shrunk to a short side that is larger than clips by this, as in the presets: 64 for 56


@dataclass(frozen=True)
class EncoderFacts:
    """What is known of an encoder without its network.

    Attributes:
        name: of the network, see `build_encoder`.
        clip: the clips that it takes.
        source: "shipped", or the absolute path of its folder.
        hash: of name, clip parameters and weights.
    """

    name: str
    clip: Clip
    source: str
    hash: str

    @property
    def short_side(self) -> int:
        """Pixels of the short side to which frames are shrunk before they are squeezed or cut to clips."""
        return round(self.clip.size * MARGIN)


@dataclass(frozen=True)
class LoadedEncoder(EncoderFacts):
    """An encoder with its network, which is in eval mode, on the CPU."""

    network: "Encoder | TwoStream"


def describe_encoder(source: str | Path = SHIPPED) -> EncoderFacts:
    """Read what an encoder is.

    Args:
        source: "shipped", or a folder with `encoder.safetensors` and `encoder.json`, such as `data/model`.

    Raises:
        UserError: the folder holds no encoder, or one that cannot be read.
    """
    if str(source) == SHIPPED:
        weights = {
            f"streams.{number}.{name}": value
            for number, stream in enumerate(STREAMS)
            for name, value in load_file(SHIPPED_FOLDER / f"{stream}.safetensors").items()
        }
        return EncoderFacts("small", SHIPPED_CLIP, SHIPPED, _hash("small", SHIPPED_CLIP, weights))
    folder = Path(source)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder: give `shipped`, or a folder with encoder.json, as data/model")
    try:
        description = json.loads((folder / "encoder.json").read_text())
        name, clip = str(description["encoder"]), Clip(**description["clip"])
        weights = load_file(folder / "encoder.safetensors")
    except FileNotFoundError:
        raise UserError(f"{folder}: holds no encoder (encoder.json and encoder.safetensors)") from None
    except Exception as error:  # damaged in any way
        raise _unreadable(folder, error) from None
    return EncoderFacts(name, clip, str(folder.resolve()), _hash(name, clip, weights))


def open_encoder(source: str | Path = SHIPPED) -> LoadedEncoder:
    """Load an encoder with its network; see `describe_encoder`."""
    facts = describe_encoder(source)
    from mofore.method.encoders import load_encoder
    from mofore.method.shipped import shipped_encoder

    if facts.source == SHIPPED:
        network = shipped_encoder(SHIPPED_CLIP.input)
    else:
        try:
            network = load_encoder(Path(source))[0]
        except Exception as error:  # weights that do not fit the network
            raise _unreadable(Path(source), error) from None
    return LoadedEncoder(facts.name, facts.clip, facts.source, facts.hash, network.eval())


def _unreadable(folder: Path, error: Exception) -> UserError:
    return UserError(f"{folder}: its encoder cannot be read: {first_line(error)}: train it again, or give another one")


def _hash(name: str, clip: Clip, weights: Mapping[str, npt.NDArray[np.generic]]) -> str:
    """Hash of an encoder. Weights of half precision, as shipped, count as the float32 that they are used as."""
    key = blake2b(json.dumps([name, asdict(clip)], sort_keys=True).encode(), digest_size=12)
    for weight_name, value in sorted(weights.items()):
        key.update(weight_name.encode())
        wide = value.astype(np.float32) if value.dtype == np.float16 else value
        key.update(np.ascontiguousarray(wide).tobytes())
    return key.hexdigest()
