"""Compare MoFore with SimCLR, MoCo, BYOL and VideoMAE, and with supervised training as the ceiling.

    dvc repro manifest
    python benchmarks/objectives.py --tune 30                    # once: 4 candidates per method, on training videos
    python benchmarks/objectives.py [--seconds 60] [--seeds 1 2 3] [--points 1] [--methods simclr byol]
    python benchmarks/objectives.py --start random               # all methods from scratch; tune with it, too
    python benchmarks/objectives.py --folds 3 --name mine        # your own folder: each video is tested once

All methods train and embed what params.yaml says. With --start shipped, that is the motion stream, from the shipped
weights; VideoMAE, which has another network, is left out. With --start random, both streams, from random weights.

Each method is trained in a process of its own, in random order. First all methods get the same training time. They are
scored at its end, at half of it, at a quarter, and so on. Then each method gets as many clips as MoFore used in that
time. All methods share data, loader, augmentation, precision, batch size and evaluation: embeddings as the
stage embed makes them, logistic regression and nearest neighbour, test videos against training videos.

    objective_models.py     how methods differ, recommended settings, candidates for tuning
    objective_run.py        one training; what counts as time and as a clip
    objective_controls.py   random weights and the controls that learn nothing
    objective_tables.py     tables and figure

The test videos are those of the split. With --folds, all groups are divided into folds, and each fold is tested by
encoders and classifiers that were trained on the other folds. That suits small folders; training takes --folds times
as long.

Tuning trains each candidate on three quarters of the training groups and chooses the one with the best R@1 on the other
groups. It writes objectives_tuning.csv. A method that is not in that file uses its first candidate. No choice depends
on test labels.

Finished trainings are kept in .scratch/objectives, so a stopped benchmark can be resumed, and a second run of the same
command only writes tables and figure. --fresh trains everything again. Equal time is a fair comparison only on a
machine without other work; a wide spread of clips per second over seeds shows other work.

Needs: pip install -e '.[bench]'. Writes objectives_START.csv and .png to the folder of this file; --name changes the
names. There is a figure only with --points above 1. The last line of the output is JSON.
"""

import mofore.runtime.openmp  # noqa: F401 # must come before anything that imports torch

# isort: split
import argparse
import json
import random
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from objective_controls import control_rows
from objective_models import CANDIDATES, COMPARED, METHODS, WITHOUT_SHIPPED, Settings
from objective_run import STARTS, Job, Point, Trained, compared_params, merge_folds, run
from objective_tables import BUDGETS, all_points, draw, format_summary, summarise

from mofore.config import Params
from mofore.errors import UserError, run_stage
from mofore.utils.files import write_csv, write_json
from mofore.utils.scratch import scratch

HERE = Path(__file__).parent
TUNING = HERE / "objectives_tuning.csv"
TUNING_SEED = 0


def run_or_load(job: Job, frames: Path, fresh: bool) -> Trained:
    """Run a job in a process of its own, or load its results if it has run before with the same parameters.

    Raises:
        UserError: the job failed; it has printed the reason.
    """
    path = scratch("objectives") / f"{job.name}.json"
    made_of = {"job": asdict(job), "frames": str(frames), "params": without_runtime(compared_params(job.start))}
    kept = json.loads(path.read_text()) if path.exists() else {}
    if fresh or kept.get("made_of") != made_of:
        command = [sys.executable, __file__, "--frames", str(frames), "--job", json.dumps(asdict(job))]
        done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise UserError(f"{job.name}: training failed: see the messages above")
        kept = {"made_of": made_of} | json.loads(done.stdout)
        write_json(path, kept)
    result = Trained(job, [Point(**point) for point in kept["points"]], kept["video"], kept["group"])
    last = result.points[-1]
    print(
        f"{job.name:32}{last.seconds:8.1f} s{last.clips:9,} clips   linear {np.mean(last.linear):.3f}, "
        f"R@1 {np.mean(last.r_at_1):.3f}",
        flush=True,
    )
    return result


def without_runtime(params: Params) -> dict[str, Any]:
    """The parameters on which results depend: all sections but `runtime`."""
    return {name: value for name, value in asdict(params).items() if name != "runtime"}


def tune(methods: list[str], start: str, seconds: float, frames: Path, fresh: bool) -> None:
    """Train all candidates of these methods for `seconds` each; write their scores and the choice to TUNING."""
    rows = []
    for method in methods:
        score = []
        for settings in CANDIDATES[method]:
            job = Job(method, start, settings, TUNING_SEED, "time", seconds, [1.0], tuning=True)
            score.append(float(np.mean(run_or_load(job, frames, fresh).points[-1].r_at_1)))
        best = int(np.argmax(score))  # the first one if scores are equal
        for number, settings in enumerate(CANDIDATES[method]):
            rows.append((method, start, describe(settings), seconds, score[number], int(number == best)))
    table = pd.DataFrame(rows, columns=["method", "start", "settings", "seconds", "r_at_1", "chosen"])
    if TUNING.exists():
        before = pd.read_csv(TUNING)
        table = pd.concat([before[~(before["method"].isin(methods) & (before["start"] == start))], table])
    write_csv(TUNING, table, "%.6g")
    print(table.to_string(index=False, float_format="{:.3f}".format))


def tuned_settings(method: str, start: str) -> Settings:
    """The settings that tuning chose for a method and a start; the first candidate if the method was not tuned.

    Raises:
        UserError: the choice in TUNING is no longer a candidate.
    """
    if not TUNING.exists():
        return CANDIDATES[method][0]
    table = pd.read_csv(TUNING)
    is_own = (table["method"] == method) & (table["start"] == start)
    best = table[is_own & (table["chosen"] == 1)]["settings"].tolist()
    by_description = {describe(settings): settings for settings in CANDIDATES[method]}
    if not best:
        return CANDIDATES[method][0]
    if best[0] not in by_description:
        raise UserError(
            f"{TUNING}: {method}: '{best[0]}' is no longer a candidate: run with --tune again, or delete the file"
        )
    return by_description[best[0]]


def describe(settings: Settings) -> str:
    """Settings as text: `pretrain.lr=0.001 momentum.start=0.9`."""
    return " ".join(f"{key}={value}" for key, value in settings.items())


def run_folds(job: Job, folds: int, frames: Path, fresh: bool) -> Trained:
    """As `run_or_load`; with folds, one run for each, merged."""
    jobs = [replace(job, fold=fold, folds=folds) for fold in range(max(1, folds))]
    return merge_folds([run_or_load(each, frames, fresh) for each in jobs])


def compare(arguments: argparse.Namespace) -> None:
    """Train all methods; write and print their scores."""
    a = arguments
    methods, seeds, seconds = compared_methods(a), a.seeds, a.seconds
    settings = {method: tuned_settings(method, a.start) for method in methods}
    shares = [0.5**halvings for halvings in reversed(range(a.points))]

    def run_all(names: list[str], seed: int, budget: str, amount: float, points: list[float]) -> dict[str, Trained]:
        jobs = {name: Job(name, a.start, settings[name], seed, budget, amount, points) for name in names}
        return {name: run_folds(job, a.folds, a.frames, a.fresh) for name, job in jobs.items()}

    runs = control_rows(a.frames, a.start, seeds, a.folds)
    for seed in seeds:
        timed = run_all(random.sample(methods, len(methods)), seed, "time", seconds, shares)
        runs += timed.values()
        if "clips" not in a.budgets:
            continue
        ours = timed["mofore"]
        clips, end = ours.points[-1].clips, ours.points[-1:]
        runs += [replace(ours, job=replace(ours.job, budget="clips", amount=clips, points=[1.0]), points=end)]
        rivals = [method for method in random.sample(methods, len(methods)) if method != "mofore"]
        runs += run_all(rivals, seed, "clips", clips, [1.0]).values()
    table, summary = all_points(runs), summarise(runs)
    name = a.name or f"objectives_{a.start}"
    write_csv(HERE / f"{name}.csv", table, "%.6g")
    if a.points > 1:  # otherwise there are no lines to draw
        draw(table, summary, HERE / f"{name}.png")
    print(f"\n{format_summary(summary)}\n")
    chosen = {method: describe(of_method) for method, of_method in settings.items()}
    result: dict[str, Any] = {"start": a.start, "seconds": seconds, "seeds": seeds, "settings": chosen}
    for row in summary.to_dict("records"):
        numbers = [
            round(row[name], 3) for name in ("mean", "low", "high", "lead", "lead_low", "lead_high") if name in row
        ]
        result.setdefault(row["budget"], {}).setdefault(row["score"], {})[row["method"]] = numbers
    print(json.dumps(result))


def compared_methods(arguments: argparse.Namespace) -> list[str]:
    """The methods to train, MoFore among them."""
    left_out = WITHOUT_SHIPPED if arguments.start == "shipped" else ()
    return sorted({"mofore", *arguments.methods}.difference(left_out))


def main() -> None:
    """Tune, compare, or run one job of either in this process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=Path, default=Path("data/frames"), help="output of stage extract_frames")
    parser.add_argument("--start", choices=STARTS, default="shipped", help="of the encoder, for all methods")
    parser.add_argument("--seconds", type=float, default=60, help="training time of each method")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="seeds of the trainings")
    parser.add_argument("--points", type=int, default=1, help="how often encoders are scored during the training time")
    parser.add_argument(
        "--methods", nargs="+", choices=METHODS, default=list(COMPARED), metavar="METHOD", help="methods besides MoFore"
    )
    parser.add_argument(
        "--budgets", nargs="+", choices=BUDGETS, default=list(BUDGETS), help="budgets; time is always compared"
    )
    parser.add_argument("--folds", type=int, default=0, help="number of folds over all groups; 0: use the split")
    parser.add_argument("--name", help="name of the table and the figure; default: objectives_START")
    parser.add_argument("--tune", type=float, metavar="SECONDS", help="instead: train each candidate for this long")
    parser.add_argument("--fresh", action="store_true", help="train again what has been trained already")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.job:
        print(json.dumps(asdict(run(Job(**json.loads(arguments.job)), arguments.frames))))
    elif arguments.tune:
        tune(compared_methods(arguments), arguments.start, arguments.tune, arguments.frames, arguments.fresh)
    else:
        compare(arguments)


if __name__ == "__main__":
    run_stage(main)
