import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch.nn.functional import cosine_similarity

from mofore.clips.augment import eval_crop, to_input
from mofore.clips.sampling import clip_offsets
from mofore.collection import export as export_module
from mofore.collection.encoder import LoadedEncoder, open_encoder
from mofore.collection.export import NETWORK_FILES, FramesToEmbedding, _compare, export
from mofore.config import Clip
from mofore.errors import UserError
from mofore.frames.decode import stored_size
from mofore.frames.shrink import resize
from mofore.method.encoders import build_encoder, save_encoder

Frames = npt.NDArray[np.uint8]
SIZES = [(64, 85), (150, 120)]  # height and width: as stored, and larger
ONNX_SCRIPT = """
import sys
sys.modules.update({"mofore": None, "torch": None, "cv2": None})  # importing one of them is an error
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession("model.onnx")
for number in range(2):
    (found,) = session.run(None, {"frames": np.load(f"frames{number}.npy")})
    np.save(f"found{number}.npy", found)
"""
TORCH_SCRIPT = """
import sys
sys.modules.update({"mofore": None, "torchvision": None, "cv2": None})
import numpy as np, torch
network = torch.export.load("model.pt2").module()
for number in range(2):
    with torch.inference_mode():
        np.save(f"found{number}.npy", network(torch.from_numpy(np.load(f"frames{number}.npy"))).numpy())
"""


def make_frames(batch: int, frames: int, height: int, width: int) -> Frames:
    """Clips [B, T, H, W, C] of a texture that moves by a twelfth of the frame's width per frame."""
    rng = np.random.default_rng(batch + height)
    coarse = rng.integers(0, 256, (batch, 12, 12, 3), dtype=np.uint8)
    still = [cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC) for image in coarse]
    return np.stack([[np.roll(image, t * width // 12, axis=1) for t in range(frames)] for image in still])


def by_the_package(encoder: LoadedEncoder, frames_BTHWC: Frames) -> torch.Tensor:
    """Embeddings [B, D] by OpenCV and the encoder itself."""
    size = stored_size(frames_BTHWC[0, 0], 1.0, encoder.short_side)
    clips = [eval_crop([np.asarray(resize(image, size)) for image in clip], encoder.clip) for clip in frames_BTHWC]
    with torch.inference_mode():
        return encoder.network(to_input(torch.from_numpy(np.stack(clips)), encoder.clip.input))


def save(folder: Path, name: str, input: str) -> Path:
    """An encoder with random weights, but with features that differ from clip to clip, in eval mode."""
    encoder = build_encoder(name, 1, input).train()
    clip = Clip(frames=8, stride=2, size=56, crop="none", input=input)
    frames = torch.from_numpy(make_frames(4, len(clip_offsets(clip)), 56, 56))
    with torch.no_grad():
        for _ in range(10):
            encoder(to_input(frames, input))  # statistics of batch normalisation
    save_encoder(folder, encoder.eval(), name, clip)
    return folder


@pytest.fixture(scope="module")
def ort() -> ModuleType:
    pytest.importorskip("onnxscript")
    module: ModuleType = pytest.importorskip("onnxruntime")
    return module


@pytest.fixture(scope="module")
def shipped(ort: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "encoder"
    assert export("shipped", folder).folder == folder
    return folder


@pytest.mark.parametrize("crop", ["none", "center"])
@pytest.mark.parametrize(
    ("height", "width"),
    [(64, 85), (64, 64), (90, 64), (65, 64), (128, 170), (240, 320), (333, 517), (480, 640), (40, 60), (63, 300)],
)
def test_pixels_are_those_of_opencv_but_for_rounding(height: int, width: int, crop: str) -> None:
    encoder = open_encoder()
    encoder = replace(encoder, clip=replace(encoder.clip, crop=crop))
    noise = np.random.default_rng(0).integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    size = stored_size(noise[0], 1.0, encoder.short_side)
    wanted = eval_crop([np.asarray(resize(image, size)) for image in noise], encoder.clip)
    found = FramesToEmbedding(encoder).prepare(torch.from_numpy(noise)[None])[0].numpy()
    difference = found - wanted
    assert np.abs(difference).max() <= 1
    assert np.abs(difference).mean() < 0.3


def test_an_export_is_an_encoder_and_names_no_path(shipped: Path) -> None:
    encoder = open_encoder(shipped)
    assert encoder.hash == open_encoder().hash
    assert {file.name for file in shipped.iterdir()} == set(export_module.FILES)
    for file in shipped.iterdir():
        assert file.stat().st_size < 4e6
        assert b"site-packages" not in file.read_bytes()
        assert b"/collection/export.py" not in file.read_bytes()
    config = json.loads((shipped / "config.json").read_text())
    assert config["input"]["shape"] == ["batch", 9, "height", "width", 3]
    assert config["output"] == {
        "name": "embedding",
        "dtype": "float32",
        "shape": ["batch", 384],
        "streams": {"motion": [0, 192], "appearance": [192, 384]},
    }


@pytest.mark.parametrize("script", [ONNX_SCRIPT, TORCH_SCRIPT], ids=["onnx", "torch"])
def test_files_run_without_the_package(shipped: Path, tmp_path: Path, script: str) -> None:
    for name in NETWORK_FILES.values():
        (tmp_path / name).symlink_to(shipped / name)
    clips = [make_frames(batch, 9, *size) for batch, size in zip((1, 3), SIZES, strict=True)]
    for number, frames in enumerate(clips):
        np.save(tmp_path / f"frames{number}.npy", frames)
    subprocess.run([sys.executable, "-I", "-c", script], cwd=tmp_path, check=True)
    for number, frames in enumerate(clips):
        found = torch.from_numpy(np.load(tmp_path / f"found{number}.npy"))
        wanted = by_the_package(open_encoder(), frames)
        assert found.shape == wanted.shape
        assert cosine_similarity(found, wanted).min() > 0.999


def test_onnx_gives_the_same_in_several_threads(ort: ModuleType, shipped: Path) -> None:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    session = ort.InferenceSession(shipped / "model.onnx", options, providers=["CPUExecutionProvider"])
    clips = [make_frames(batch, 9, *size) for batch in (1, 3) for size in SIZES] * 2

    def embed(frames: Frames) -> npt.NDArray[np.float32]:
        found: npt.NDArray[np.float32] = session.run(None, {"frames": frames})[0]
        return found

    alone = [embed(frames) for frames in clips]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(embed, clips))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "input"), [("small", "residual"), ("small", "rgb"), ("small_2d", "rgb"), ("r3d_18", "both")]
)
def test_other_encoders(ort: ModuleType, tmp_path: Path, name: str, input: str) -> None:
    source = save(tmp_path / "model", name, input)
    folder = export(source, tmp_path / "out").folder
    encoder = open_encoder(folder)
    assert encoder.hash == open_encoder(source).hash
    session = ort.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    for batch in (1, 3):
        for size in SIZES:
            frames = make_frames(batch, len(clip_offsets(encoder.clip)), *size)
            found = torch.from_numpy(session.run(None, {"frames": frames})[0])
            assert cosine_similarity(found, by_the_package(encoder, frames)).min() > 0.999


def test_an_earlier_export_is_replaced_and_other_files_stay(tmp_path: Path) -> None:
    out = tmp_path / "out"
    export("shipped", out, formats=())
    for name in ("model.onnx", "notes.txt"):
        (out / name).write_text("mine")
    (out / "README.md").write_text("old")
    export("shipped", out, formats=())
    assert not (out / "model.onnx").exists()  # would be that of another encoder
    assert (out / "notes.txt").read_text() == "mine"
    assert (out / "README.md").read_text() != "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_another_folder_or_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match=r"holds other files, no earlier export: give an empty folder"):
        export("shipped", tmp_path, formats=())
    with pytest.raises(UserError, match=r"config.json: is a file"):
        export("shipped", tmp_path / "config.json", formats=())
    assert (tmp_path / "config.json").read_text() == "{}"


def test_bad_requests_are_refused_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"no format 'tflite': use onnx or torch"):
        export("shipped", tmp_path / "out", formats=("tflite",))
    with pytest.raises(UserError, match=r"no such folder"):
        export(tmp_path / "missing", tmp_path / "out", formats=())
    monkeypatch.setattr(export_module, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"ONNX needs onnx, onnxscript, onnxruntime: pip install '\.\[export\]'"):
        export("shipped", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_other_weights_is_noticed(shipped: Path) -> None:
    other = replace(open_encoder(), network=build_encoder("small", 5, "two_stream").eval())
    with pytest.raises(RuntimeError, match=r"model.pt2: its embeddings are not the encoder's"):
        _compare("torch", shipped / "model.pt2", FramesToEmbedding(other).eval(), frames=9)
