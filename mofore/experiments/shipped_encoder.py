"""Make the encoder that the package ships: `python -m mofore.experiments.shipped_encoder`.

It draws generated videos, pretrains each stream of the network "small" on them, with the parameters of params.yaml, and
writes their weights to `mofore/method/shipped/`. No real video and no label is used. It takes two hours on two
cores; a run that was stopped goes on where it was, unless parameters or drawing have changed. Its scores are in
docs/shipped-encoder.md.
"""

import mofore.runtime.openmp  # noqa: F401 # must come before imports that load torch

# isort: split
import argparse
from dataclasses import asdict, replace
from hashlib import blake2b
from pathlib import Path

from safetensors.torch import save_file

from mofore.config import Params, load_params
from mofore.errors import UserError, run_stage
from mofore.experiments.generated.packs import PROGRAMS, draw_packs
from mofore.experiments.generated.pairs import FamilySampler, GeneratedPairs
from mofore.method.shipped import FOLDER, STREAM_OF
from mofore.runtime.device import pick_device
from mofore.training.checkpoint import Checkpoint
from mofore.training.pretrain import train
from mofore.utils.files import write_json
from mofore.utils.scratch import folder_until_done, locked, scratch
from mofore.utils.workers import worker_count

SEED = 202  # of the videos and of the weights; apart from those of the demo
FAMILIES = 2500  # 20,000 videos
BATCH_SIZE = 64
STEPS = {"motion": 12000, "appearance": 3000}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stream", choices=list(STEPS), help="train this one only")
    parser.add_argument("--families", type=int, default=FAMILIES, help=f"families of 8 videos; default: {FAMILIES}")
    parser.add_argument("--steps", type=int, help=f"training steps, at least; default: {STEPS}")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of the weights")
    args = parser.parse_args()
    streams = [args.stream] if args.stream else list(STEPS)
    steps = {stream: STEPS[stream] if args.steps is None else args.steps for stream in streams}
    _check(args.families, min(steps.values()), args.out)

    params = load_params()
    packs = scratch("generated") / _key(SEED, args.families)
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


def _key(*made_of: object) -> str:
    """Name of a scratch folder: a hash of what the work in it depends on, the code that draws included."""
    key = blake2b(repr(made_of).encode(), digest_size=12)
    for code in sorted((Path(__file__).parent / "generated").glob("*.py")):
        key.update(code.read_bytes())
    return key.hexdigest()


def make_stream(stream: str, packs: Path, families: int, steps: int, out: Path, params: Params) -> None:
    """Train one stream; write its weights and what they are made of to `out`."""
    (kind,) = (kind for kind, name in STREAM_OF.items() if name == stream)
    params = stream_params(params, kind)
    pairs = GeneratedPairs(packs, families, params)
    batches = FamilySampler(families, BATCH_SIZE, steps, SEED)
    needed = asdict(replace(params, runtime=None))  # type: ignore[arg-type] # settings of the machine change no result
    folder = scratch("shipped_encoder") / _key(stream, families, batches.steps, needed)
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


def stream_params(params: Params, kind: str) -> Params:
    """Parameters of the run: those of params.yaml, for one stream, from random weights.

    Programs of a family are negatives of each other. The predictor gives the forecast itself, and InfoNCE compares it
    with the future, as they did by default when the weights of the package were made.
    """
    return replace(
        params,
        seed=SEED,
        clip=replace(params.clip, input=kind),
        forecast=replace(params.forecast, residual=False),
        contrast=replace(params.contrast, anchor="forecast", mask_groups=False),
        encoder=replace(params.encoder, name="small", start="random", keep="online"),
        pretrain=replace(params.pretrain, batch_size=BATCH_SIZE, knn_every=0),
    )


if __name__ == "__main__":
    run_stage(main)
