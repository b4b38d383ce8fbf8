"""`mofore export`."""

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mofore.cli.output import Json, Quiet, print_json

EXAMPLES = """
mofore export --out encoder
mofore export --encoder data/model --out my_encoder --format torch --license mit
"""


class Format(StrEnum):
    """Of the exported networks."""

    ONNX = "onnx"
    TORCH = "torch"


def export(
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="A folder that is new, empty, or an earlier export.")],
    encoder: Annotated[
        str, typer.Option(metavar="shipped|FOLDER", help="The shipped encoder, or the folder of one, as data/model.")
    ] = "shipped",
    formats: Annotated[
        list[Format] | None, typer.Option("--format", help="May be repeated. Without it, both are written.")
    ] = None,
    license: Annotated[
        str | None, typer.Option(metavar="NAME", help="The licence for the model card, as Hugging Face names it.")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write an encoder as ONNX and as PyTorch's exported program.

    They take frames as they come from a decoder, uint8, and give embeddings. The folder has a model card, too, and can
    be uploaded with huggingface_hub as it is.
    """
    from mofore.collection.export import export as write

    done = write(encoder, out, formats or list(Format), license)
    if as_json:
        print_json(asdict(done))
    elif not quiet:
        files = ", ".join(f"{name} ({size / 1e3:,.0f} kB)" for name, size in done.sizes.items())
        print(f"export: {done.folder}: {files}")
