"""Make the encoder that the package ships: `python -m mofore.experiments.shipped_encoder`.

It draws generated videos, pretrains each stream of the network "small" on them, and writes their weights to a folder.
The parameters are those of `generated/params.py`; of params.yaml only section `runtime` matters. No real video and no
label is used. It takes less than two hours on two cores; a run that was stopped goes on where it was, unless parameters
or code have changed. With `--out mofore/method/shipped` it replaces the weights of the package. Their scores are in
docs/shipped-encoder.md.
"""

import mofore.runtime.openmp  # noqa: F401 # must come before imports that load torch

# isort: split
import argparse
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path

from safetensors.torch import save_file

from mofore.config import Params, load_params
from mofore.errors import UserError, run_stage
from mofore.experiments.generated.packs import PROGRAMS, draw_packs
from mofore.experiments.generated.pairs import FamilySampler, GeneratedPairs
from mofore.experiments.generated.params import BATCH_SIZE, SEED, stream_params
from mofore.method.shipped import STREAM_OF
from mofore.runtime.device import pick_device
from mofore.training.checkpoint import Checkpoint
from mofore.training.pretrain import train
from mofore.utils.files import write_json
from mofore.utils.scratch import folder_until_done, locked, scratch
from mofore.utils.workers import worker_count

OUT = Path("data/shipped")
PACKAGE = Path(__file__).parents[1]
DRAWING = ("experiments/generated",)  # folders of the package with the code that draws
TRAINING = (*DRAWING, "clips", "frames", "method", "training")  # and with the code that trains
FAMILIES = 2500  # 20,000 videos
STEPS = {"motion": 12000, "appearance": 3000}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stream", choices=list(STEPS), help="train this one only")
    parser.add_argument("--families", type=int, default=FAMILIES, help=f"families of 8 videos; default: {FAMILIES}")
    parser.add_argument("--steps", type=int, help=f"training steps, at least; default: {STEPS}")
    parser.add_argument("--out", type=Path, default=OUT, help=f"folder of the weights; default: {OUT}")
    args = parser.parse_args()
    streams = [args.stream] if args.stream else list(STEPS)
    steps = {stream: STEPS[stream] if args.steps is None else args.steps for stream in streams}
    _check(args.families, min(steps.values()), args.out)

    params = load_params()
    packs = scratch("generated") / _key(DRAWING, SEED, args.families)
    with locked(packs, "drawing these videos"):
        draw_packs(packs, args.families, SEED, worker_count(params.runtime.workers))
    for stream in streams:
        make_stream(stream, packs, args.families, steps[stream], args.out, params)
        print(f"shipped_encoder: {stream} written to {args.out}")


def _check(families: int, steps: int, out: Path) -> None:
    """Check the arguments before an hour of work."""
    least = BATCH_SIZE // PROGRAMS
    if families < least:
        raise UserError(f"--families is {families}, but a batch has {least}: use at least {least}")
    if steps < 1:
        raise UserError(f"--steps is {steps}, but must be at least 1")
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out}: is a file: name a folder")


def _key(folders: tuple[str, ...], *made_of: object) -> str:
    """Name of a scratch folder: a hash of what the work in it depends on, the code in these folders included."""
    key = blake2b(repr(made_of).encode(), digest_size=12)
    for folder in folders:
        for code in sorted((PACKAGE / folder).glob("*.py")):
            key.update(code.read_bytes())
    return key.hexdigest()


def _needed(params: Params) -> dict[str, object]:
    """The sections that the training depends on, without the settings of the machine, which change no result."""
    values = asdict(params)
    names = ("clip", "augment", "forecast", "contrast", "decorrelation", "momentum", "encoder", "pretrain")
    return {name: values[name] for name in names}


def make_stream(stream: str, packs: Path, families: int, steps: int, out: Path, params: Params) -> None:
    """Train one stream; write its weights and what they are made of to `out`."""
    (kind,) = (kind for kind, name in STREAM_OF.items() if name == stream)
    params = stream_params(params, kind)
    pairs = GeneratedPairs(packs, families, params)
    batches = FamilySampler(families, BATCH_SIZE, steps, SEED)
    folder = scratch("shipped_encoder") / _key(TRAINING, stream, families, batches.steps, _needed(params))
    with folder_until_done(folder, f"training the stream {stream}"):
        saved = Checkpoint(folder, params.runtime.checkpoint)
        run = train(params, pairs, batches, pick_device(params.runtime), checkpoint=saved)
        out.mkdir(parents=True, exist_ok=True)
        # Half precision halves the file; scores do not change.
        state = run.model.encoder.state_dict()
        weights = {key: x.half() if x.is_floating_point() else x for key, x in state.items()}
        save_file({key: x.contiguous() for key, x in weights.items()}, out / f"{stream}.safetensors")
        made_of = {"seed": SEED, "families": families, "steps": batches.steps, "batch_size": BATCH_SIZE}
        write_json(out / f"{stream}.json", made_of | run.log.iloc[-1].to_dict() | {"seconds": round(run.seconds)})


if __name__ == "__main__":
    run_stage(main)
