"""Export an encoder as files that run without this package: ONNX, and PyTorch's exported program.

The preparation of frames is part of the exported network: it takes decoded frames of any size and gives the embedding,
so nobody has to rebuild it elsewhere. TorchScript is not offered, since PyTorch has deprecated it for `torch.export`.

The package resizes with OpenCV, and twice: `frames.decode.resize` shrinks each frame by area averaging to a short side
of `LoadedEncoder.short_side` pixels, and `clips.augment.eval_crop` squeezes that frame to a square (bilinear) or cuts
out its centre. Both are linear and separable. So the graph multiplies the frame from both sides by a matrix that is the
product of both steps, computed from the size of the frame. What differs: OpenCV rounds to whole gray levels after each
step, the graph once, at the end. So pixels of a clip differ by at most one gray level.

Shapes: B batch, T frames of a clip, H height and W width of frames, S side of the clip, C=3 colours, D feature
dimensions; L length of one axis of the frame, H or W.
"""

import json
import os
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

import mofore
from mofore.clips.augment import to_input
from mofore.clips.sampling import clip_offsets
from mofore.collection.encoder import SHIPPED, LoadedEncoder, open_encoder
from mofore.collection.model_card import model_card
from mofore.errors import UserError
from mofore.method.encoders import TwoStream, save_encoder
from mofore.utils.files import write_json

ONNX, TORCH = "onnx", "torch"  # formats
NETWORK_FILES = {ONNX: "model.onnx", TORCH: "model.pt2"}
CONFIG = "config.json"
FILES = ("encoder.safetensors", "encoder.json", CONFIG, "README.md", *NETWORK_FILES.values())
FORMAT_KEY = "mofore_export"  # of config.json; tells that a folder is an export
FORMAT = 1
ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")  # the extra `export`
LEAST_COSINE = 0.999  # of embeddings by the written file and by the network; rounding of pixels makes it less than 1
MAX_HALVINGS = 8  # of a frame whose short side is 256 times that of the stored one


@dataclass(frozen=True)
class Export:
    """What was written.

    Attributes:
        folder: of the files.
        sizes: bytes of each file, by name.
        cosines: by format, the smallest cosine similarity of embeddings by the file, opened again, and by the network.
    """

    folder: Path
    sizes: dict[str, int]
    cosines: dict[str, float]


def export(
    encoder_source: str | Path, out: Path, formats: Sequence[str] = (ONNX, TORCH), license: str | None = None
) -> Export:
    """Write an encoder into a folder that can be published as it is, for example with `huggingface_hub`.

    Files: `encoder.safetensors` and `encoder.json`, which `open_encoder` reads; `model.onnx` and `model.pt2`, networks
    that take frames, uint8 RGB [B, T, H, W, 3], and give embeddings, float32 [B, D], of the whole frame; `config.json`,
    which describes their input; `README.md`, the model card. Each network file is opened again and compared with the
    encoder. If `out` is an earlier export, its files are replaced and others in it are left alone.

    Args:
        encoder_source: "shipped", or the folder of an encoder, such as `data/model`.
        out: a folder that does not exist, is empty, or holds an earlier export.
        formats: which networks to write, of "onnx" and "torch".
        license: Hugging Face's name of the licence, for the card. None: that of the package for the shipped encoder,
            "unknown" for others, since their owner decides.

    Raises:
        UserError: the source holds no encoder; `out` holds something else; a format is unknown; a package is missing.
    """
    _check_request(out, formats)
    encoder = open_encoder(encoder_source)
    shipped = encoder.hash == open_encoder(SHIPPED).hash
    config = describe(encoder)
    out = out.resolve()
    out.parent.mkdir(parents=True, exist_ok=True)
    place = out if out.is_dir() else out.parent  # `out` may be a disk of its own
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=place) as temporary:
        part = Path(temporary)
        try:
            save_encoder(part, encoder.network, encoder.name, encoder.clip)
        except SafetensorError as error:  # which hides the error of the system
            raise UserError(
                f"{out}: the weights cannot be written: {error}: free some space, or name another"
            ) from None
        (part / "encoder.safetensors").chmod(0o644)  # safetensors lets nobody else read it
        cosines = _write_networks(part, encoder, formats, config)
        write_json(part / CONFIG, config)
        card = model_card(encoder, config, shipped, cosines, license or ("mit" if shipped else "unknown"))
        (part / "README.md").write_text(card, "utf-8")
        sizes = {file.name: file.stat().st_size for file in sorted(part.iterdir())}
        out.mkdir(exist_ok=True)
        for name in FILES:
            if name in sizes:
                os.replace(part / name, out / name)
            else:
                (out / name).unlink(missing_ok=True)
    return Export(out, sizes, cosines)


def describe(encoder: LoadedEncoder) -> dict[str, Any]:
    """Describe input and output of the exported networks: the content of `config.json`."""
    offsets = clip_offsets(encoder.clip)
    description: dict[str, Any] = {
        FORMAT_KEY: FORMAT,
        "mofore_version": mofore.__version__,
        "encoder": encoder.name,
        "encoder_hash": encoder.hash,
        "clip": asdict(encoder.clip),
        "input": {
            "name": "frames",
            "dtype": "uint8",
            "shape": ["batch", len(offsets), "height", "width", 3],
            "colours": "RGB",
            "frame_step": encoder.clip.stride,
            "video_frames": int(offsets[-1]) + 1,
        },
        "output": {"name": "embedding", "dtype": "float32", "shape": ["batch", encoder.network.dim]},
        "preprocessing": {
            "inside_the_network": True,
            "short_side": encoder.short_side,
            "to_short_side": "area averaging; bilinear if a side grows",
            "to_clip": "squeezed to a square, bilinear" if encoder.clip.crop == "none" else "centre square",
            "size": encoder.clip.size,
        },
    }
    if isinstance(encoder.network, TwoStream):
        motion, both = encoder.network.motion.dim, encoder.network.dim
        description["output"]["streams"] = {"motion": [0, motion], "appearance": [motion, both]}
    return description


class FramesToEmbedding(nn.Module):
    """An encoder that takes decoded frames: uint8 RGB [B, T, H, W, 3] -> float32 [B, D].

    B, H and W are free, T is fixed. Frames are upright with square pixels, as a player shows them.
    """

    def __init__(self, encoder: LoadedEncoder) -> None:
        super().__init__()
        self.network, self.clip, self.short_side = encoder.network, encoder.clip, encoder.short_side

    def forward(self, frames_BTHWC: Tensor) -> Tensor:
        embedding_BD: Tensor = self.network(to_input(self.prepare(frames_BTHWC), self.clip.input))
        return embedding_BD

    def prepare(self, frames_BTHWC: Tensor) -> Tensor:
        """Resize and cut frames to clips: whole gray levels, as float32 [B, T, S, S, C]."""
        clips, frames, height, width, _ = frames_BTHWC.shape
        length_2 = torch.stack([_scalar(height), _scalar(width)])
        stored_2 = torch.round(length_2 * self.short_side / length_2.min())  # as `frames.decode.stored_size`
        block = _block(length_2, stored_2)
        rows_SH, columns_SW = (
            self._axis(pixels, length_2[axis] / block, stored_2[axis], block, (length_2 < stored_2).any())
            for axis, pixels in enumerate((height, width))
        )
        x = rows_SH @ frames_BTHWC.flatten(0, 1).flatten(2).float()  # [B T, S, W C]
        x = x.unflatten(2, (width, 3)).transpose(2, 3) @ columns_SW.T  # [B T, S, C, S]
        return torch.round(x).unflatten(0, (clips, frames)).transpose(3, 4)

    def _axis(self, pixels: int, length: Tensor, stored: Tensor, block: Tensor, grows: Tensor) -> Tensor:
        """What each pixel of the clip takes of each pixel of the frame along one axis: float32 [S, L].

        Args:
            pixels: L.
            length: of this axis after halving.
            stored: length of this axis after the first step.
            block: see `_block`.
            grows: whether the first step makes an axis longer.
        """
        scale = length / stored
        source_L = torch.floor(torch.arange(pixels, dtype=torch.float64) / block)  # pixel of the halved frame
        side_S = torch.arange(self.clip.size, dtype=torch.float64)

        def of_stored(pixel_S: Tensor) -> Tensor:
            """What pixels of the stored frame take: their share of its area, or, if it grows, linear interpolation."""
            low_S1 = (pixel_S * scale)[:, None]
            overlap_SL = torch.minimum(low_S1 + scale, source_L + 1) - torch.maximum(low_S1, source_L)
            centre_S1 = (low_S1 + scale / 2 - 0.5).clamp(min=0).minimum(length - 1)
            linear_SL = 1 - (source_L - centre_S1).abs()
            return torch.where(grows, linear_SL, overlap_SL / (scale * block)).clamp(min=0)

        if self.clip.crop == "center":
            return of_stored(torch.floor((stored - self.clip.size) / 2) + side_S).float()
        at_S = ((side_S + 0.5) * (stored / self.clip.size) - 0.5).clamp(min=0).minimum(stored - 1)
        first_S = torch.floor(at_S)
        share_S1 = (at_S - first_S)[:, None]
        second_S = (first_S + 1).minimum(stored - 1)
        return ((1 - share_S1) * of_stored(first_S) + share_S1 * of_stored(second_S)).float()


def _block(length_2: Tensor, stored_2: Tensor) -> Tensor:
    """Side of the squares of pixels that `frames.decode.resize` averages first, by halving the frame: 1, 2, 4, ...

    Args:
        length_2: height and width of the frame.
        stored_2: those after the first step.
    """
    block, halves = torch.ones_like(length_2[0]), torch.ones((), dtype=torch.bool)
    for side in (2**power for power in range(1, MAX_HALVINGS + 1)):
        halves = halves & ((length_2 >= side * stored_2) & (length_2 % side == 0)).all()
        block = torch.where(halves, side, block)
    return block


def _scalar(value: int) -> Tensor:
    """A number as a tensor, in double precision so that rounding is that of Python."""
    return torch.full((), value, dtype=torch.float64)


def _check_request(out: Path, formats: Sequence[str]) -> None:
    """Refuse what cannot work before any work is done."""
    for name in formats:
        if name not in NETWORK_FILES:
            raise UserError(f"export: no format {name!r}: use {' or '.join(NETWORK_FILES)}")
    missing = [name for name in ONNX_PACKAGES if find_spec(name) is None] if ONNX in formats else []
    if missing:
        raise UserError(
            f"export: ONNX needs {', '.join(missing)}: pip install '.[export]' in the clone, or write torch only"
        )
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file: give a folder")
    if out.is_dir() and any(out.iterdir()) and not _is_export(out):
        raise UserError(f"{out}: holds other files, no earlier export: give an empty folder, or a new name")


def _is_export(folder: Path) -> bool:
    try:
        found = json.loads((folder / CONFIG).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and FORMAT_KEY in found


def _write_networks(
    folder: Path, encoder: LoadedEncoder, formats: Sequence[str], config: dict[str, Any]
) -> dict[str, float]:
    """Write the networks and compare them with the encoder: the smallest cosine by format."""
    if not formats:
        return {}
    network = FramesToEmbedding(encoder).eval()
    frames = len(clip_offsets(encoder.clip))
    sizes = {0: "batch", 2: "height", 3: "width"}
    free = {axis: torch.export.Dim(name) for axis, name in sizes.items()}
    with torch.no_grad():
        example = (torch.zeros((2, frames, 24, 32, 3), dtype=torch.uint8),)
        program = torch.export.export(network, example, dynamic_shapes=(free,))
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # has paths of this machine
    cosines = {}
    for name in formats:
        file = folder / NETWORK_FILES[name]
        if name == ONNX:
            _write_onnx(file, program, sizes, config)
        else:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "No complete tensor")  # of weights in channels-last memory format
                torch.export.save(program, file)
        cosines[name] = _compare(name, file, network, frames)
    return cosines


def _write_onnx(
    file: Path, program: torch.export.ExportedProgram, sizes: dict[int, str], config: dict[str, Any]
) -> None:
    written = torch.onnx.export(
        program,
        dynamo=True,
        input_names=[config["input"]["name"]],
        output_names=[config["output"]["name"]],
        dynamic_shapes=(sizes,),  # names of the free axes in the file
        verbose=False,
    )
    assert written is not None
    for node in written.model.graph.all_nodes():
        node.metadata_props.clear()  # has paths of this machine, too
    written.model.metadata_props["mofore"] = json.dumps(config)
    written.save(file, external_data=False)


def _compare(name: str, file: Path, network: nn.Module, frames: int) -> float:
    """The smallest cosine of embeddings by a written file and by the network, for made-up clips of two sizes.

    Raises:
        RuntimeError: they differ by more than rounding: a mistake of this package or of a package that it uses.
    """
    generator = torch.Generator().manual_seed(0)
    cosines = []
    for shape in ((1, frames, 64, 85, 3), (2, frames, 150, 120, 3)):
        x_BTHWC = torch.randint(256, shape, generator=generator, dtype=torch.uint8)
        with torch.inference_mode():
            wanted_BD = network(x_BTHWC)
            found_BD = run_onnx(file, x_BTHWC) if name == ONNX else torch.export.load(file).module()(x_BTHWC)
        cosines.append(float(cosine_similarity(found_BD, wanted_BD).min()))
    if not min(cosines) >= LEAST_COSINE:  # also if it is nan
        raise RuntimeError(f"{file.name}: its embeddings are not the encoder's: smallest cosine {min(cosines)}")
    return min(cosines)


def run_onnx(file: Path, frames_BTHWC: Tensor) -> Tensor:
    """Embeddings [B, D] by an ONNX file."""
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (found_BD,) = session.run(None, {"frames": frames_BTHWC.numpy()})
    return torch.from_numpy(np.asarray(found_BD))
