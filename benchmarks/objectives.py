"""Objectives: MoFore against SimCLR, MoCo, BYOL and VideoMAE, and supervised training as the ceiling, in one harness.

    dvc repro extract_frames
    python benchmarks/objectives.py --tune 30                    # once: 4 candidates a method, on training videos only
    python benchmarks/objectives.py [--seconds 45] [--seeds 1 2 3] [--points 3] [--methods simclr byol]
    python benchmarks/objectives.py --folds 3 --name mine        # your own folder of videos, each tested once

Each method is trained in a process of its own, methods in random order: for equal time, scored at halves of halves of
it, and then on as many clips as MoFore has had in that time. All have the same data, loader, augmentation, precision,
batch size and evaluation (uniform clips, eval mode, logistic regression and nearest neighbour, test videos against
training videos). Where methods differ, in which settings they are tuned, and what is recommended: objective_models.py;
what counts as time and as a clip: objective_run.py. Beside them stand random weights and two controls that learn
nothing: objective_controls.py.

The test videos are those of the split; with --folds the groups are parted anew, and each part is tested by encoders and
classifiers that have not seen it: the honest score of a small folder, at so many times the training.

Tuning trains each candidate on three quarters of the training groups, and keeps the one with the best R@1 of the
others, into objectives_tuning.csv; without that file the first candidates are used. Test labels choose nothing.

Finished trainings are kept in .scratch/objectives: a benchmark that was stopped goes on, and the same command once more
only draws its tables and figure anew. --fresh trains all again. Equal time is fair on a machine without other work, as
the spread of clips a second over seeds tells. Needs: pip install -e '.[bench]'. Writes objectives.csv and
objectives.png beside this file, or what --name says; no figure where all are scored at one time alone (--points 1
--budgets time). Ends with one line of JSON.
"""

import mofore.runtime.openmp  # noqa: F401 # first, before anything that loads torch

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
from objective_models import CANDIDATES, COMPARED, METHODS, Settings
from objective_run import Job, Point, Trained, merge_folds, run
from objective_tables import BUDGETS, all_points, draw, printed, summarise

from mofore.config import Params, load_params
from mofore.errors import UserError, run_stage
from mofore.utils.files import write_csv, write_json
from mofore.utils.scratch import scratch

HERE = Path(__file__).parent
TUNING = HERE / "objectives_tuning.csv"
TUNING_SEED = 0


def trained(job: Job, frames: Path, fresh: bool) -> Trained:
    """What a job gives, in a process of its own, or what it has given before under the same parameters.

    Raises:
        UserError: it failed, and has said why.
    """
    path = scratch("objectives") / f"{job.name}.json"
    made_of = {"job": asdict(job), "frames": str(frames), "params": lasting(load_params())}
    kept = json.loads(path.read_text()) if path.exists() else {}
    if fresh or kept.get("made_of") != made_of:
        command = [sys.executable, __file__, "--frames", str(frames), "--job", json.dumps(asdict(job))]
        done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise UserError(f"{job.name}: failed, for the reason above")
        kept = {"made_of": made_of} | json.loads(done.stdout)
        write_json(path, kept)
    result = Trained(job, [Point(**point) for point in kept["points"]], kept["video"], kept["group"])
    last = result.points[-1]
    print(
        f"{job.name:24}{last.seconds:8.1f} s{last.clips:9,} clips   linear {np.mean(last.linear):.3f}, "
        f"R@1 {np.mean(last.r_at_1):.3f}",
        flush=True,
    )
    return result


def lasting(params: Params) -> dict[str, Any]:
    """The parameters that results depend on: all but the machine's."""
    return {name: value for name, value in asdict(params).items() if name != "runtime"}


def tune(methods: list[str], seconds: float, frames: Path, fresh: bool) -> None:
    """Try all candidates of these methods for so many seconds each; write what they score, and which is chosen."""
    rows = []
    for method in methods:
        score = []
        for settings in CANDIDATES[method]:
            found = trained(Job(method, settings, TUNING_SEED, "time", seconds, [1.0], tuning=True), frames, fresh)
            score.append(float(np.mean(found.points[-1].r_at_1)))
        best = int(np.argmax(score))  # of equals, the first
        for number, settings in enumerate(CANDIDATES[method]):
            rows.append((method, words(settings), seconds, score[number], int(number == best)))
    table = pd.DataFrame(rows, columns=["method", "settings", "seconds", "r_at_1", "chosen"])
    if TUNING.exists():
        before = pd.read_csv(TUNING)
        table = pd.concat([before[~before["method"].isin(methods)], table])
    write_csv(TUNING, table, "%.6g")
    print(table.to_string(index=False, float_format="{:.3f}".format))


def chosen(method: str) -> Settings:
    """What tuning has chosen; the first candidate, if it was not tuned.

    Raises:
        UserError: tuning has chosen what is no candidate any more.
    """
    if not TUNING.exists():
        return CANDIDATES[method][0]
    table = pd.read_csv(TUNING)
    best = table[(table["method"] == method) & (table["chosen"] == 1)]["settings"].tolist()
    by_words = {words(settings): settings for settings in CANDIDATES[method]}
    if not best:
        return CANDIDATES[method][0]
    if best[0] not in by_words:
        raise UserError(f"{TUNING}: {method}: '{best[0]}' is no candidate: run with --tune again, or remove the file")
    return by_words[best[0]]


def words(settings: Settings) -> str:
    """`pretrain.lr=0.001 momentum.start=0.9`."""
    return " ".join(f"{key}={value}" for key, value in settings.items())


def over_folds(job: Job, folds: int, frames: Path, fresh: bool) -> Trained:
    """As `trained`; with folds, once for each of them."""
    jobs = [replace(job, fold=fold, folds=folds) for fold in range(max(1, folds))]
    return merge_folds([trained(each, frames, fresh) for each in jobs])


def compare(arguments: argparse.Namespace) -> None:
    """Train all, write and print what they score."""
    a = arguments
    methods, seeds, seconds = sorted({"mofore", *a.methods}), a.seeds, a.seconds
    shares = [0.5**halvings for halvings in reversed(range(a.points))]
    runs = control_rows(a.frames, seeds, a.folds)
    for seed in seeds:
        timed = {
            method: over_folds(Job(method, chosen(method), seed, "time", seconds, shares), a.folds, a.frames, a.fresh)
            for method in random.sample(methods, len(methods))
        }
        runs += timed.values()
        if "clips" not in a.budgets:
            continue
        ours = timed["mofore"]
        clips, end = ours.points[-1].clips, ours.points[-1:]
        runs += [replace(ours, job=replace(ours.job, budget="clips", amount=clips, points=[1.0]), points=end)]
        runs += [
            over_folds(Job(method, chosen(method), seed, "clips", clips, [1.0]), a.folds, a.frames, a.fresh)
            for method in random.sample(methods, len(methods))
            if method != "mofore"
        ]
    table, summary = all_points(runs), summarise(runs)
    write_csv(HERE / f"{a.name}.csv", table, "%.6g")
    if a.points > 1 or "clips" in a.budgets:  # else all stand at one time: nothing to draw
        draw(table, summary, HERE / f"{a.name}.png")
    print(f"\n{printed(summary)}\n")
    result: dict[str, Any] = {"seconds": seconds, "seeds": seeds, "settings": {m: words(chosen(m)) for m in methods}}
    for row in summary.to_dict("records"):
        numbers = [
            round(row[name], 3) for name in ("mean", "low", "high", "lead", "lead_low", "lead_high") if name in row
        ]
        result.setdefault(row["budget"], {}).setdefault(row["score"], {})[row["method"]] = numbers
    print(json.dumps(result))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=Path, default=Path("data/frames"), help="what extract_frames has made")
    parser.add_argument("--seconds", type=float, default=45, help="training time of each method")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument(
        "--points", type=int, default=3, help="points of the training time at which encoders are scored"
    )
    parser.add_argument(
        "--methods", nargs="+", choices=METHODS, default=list(COMPARED), metavar="METHOD", help="besides MoFore"
    )
    parser.add_argument("--budgets", nargs="+", choices=BUDGETS, default=list(BUDGETS), help="time is always compared")
    parser.add_argument("--folds", type=int, default=0, help="test each of so many parts of the groups; 0: the split")
    parser.add_argument("--name", default="objectives", help="of the table and the figure")
    parser.add_argument("--tune", type=float, metavar="SECONDS", help="instead: try each candidate for so long")
    parser.add_argument("--fresh", action="store_true", help="train again what is trained already")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.job:
        print(json.dumps(asdict(run(Job(**json.loads(arguments.job)), arguments.frames))))
    elif arguments.tune:
        tune(sorted({"mofore", *arguments.methods}), arguments.tune, arguments.frames, arguments.fresh)
    else:
        compare(arguments)


if __name__ == "__main__":
    run_stage(main)
