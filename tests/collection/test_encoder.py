"""What is known of an encoder without torch is what its network has."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mofore.collection.encoder import describe_encoder, open_encoder
from mofore.config import Clip
from mofore.errors import UserError
from mofore.method.encoders import build_encoder, save_encoder


def test_the_hash_is_that_of_the_network(tmp_path: Path) -> None:
    shipped = open_encoder()
    assert describe_encoder().hash == shipped.hash
    save_encoder(tmp_path, shipped.network, shipped.name, shipped.clip)
    assert describe_encoder(tmp_path).hash == shipped.hash, "the same encoder in another place"
    with torch.no_grad():
        next(shipped.network.parameters()).mul_(1.001)
    save_encoder(tmp_path, shipped.network, shipped.name, shipped.clip)
    assert describe_encoder(tmp_path).hash != shipped.hash
    save_encoder(tmp_path, open_encoder().network, shipped.name, Clip(8, 2, 56, "none", "two_stream"))
    assert describe_encoder(tmp_path).hash != shipped.hash


def test_no_torch_is_loaded_to_describe_one() -> None:
    code = "import sys; from mofore.collection.embed import describe_encoder; describe_encoder()\n"
    code += "assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("damage", ["none", "json", "weights", "other network"])
def test_a_folder_without_a_sound_encoder(tmp_path: Path, damage: str) -> None:
    clip = Clip(8, 3, 56, "none", "rgb")
    if damage != "none":
        save_encoder(tmp_path, build_encoder("small", 0, "rgb"), "small", clip)
    if damage == "json":
        (tmp_path / "encoder.json").write_text("{")
    if damage == "weights":
        (tmp_path / "encoder.safetensors").write_bytes(b"12345678")
    if damage == "other network":
        save_encoder(tmp_path / "other", build_encoder("small_2d", 0, "rgb"), "small_2d", clip)
        (tmp_path / "other" / "encoder.safetensors").replace(tmp_path / "encoder.safetensors")
    with pytest.raises(UserError, match=r"holds no encoder|its encoder cannot be read") as error:
        open_encoder(tmp_path)
    assert "\n" not in str(error.value)
