"""Score the default in folds over all groups of a folder: a small set has too few test videos for a split.

    dvc repro manifest                         # with the folder of your videos in params.yaml
    python benchmarks/folds.py [--frames data/frames] [--folds 3] [--seeds 1 2 3] [--name folds]

Each fold is tested by an encoder and classifiers that were trained on the other folds, with the parameters of
params.yaml: so many steps as `dvc repro` takes, not a time as in objectives.py. Controls are those of
objective_controls.py, in the same folds. A parameter that was chosen on some of these groups flatters the scores.

Needs: pip install -e '.[bench]'. Writes NAME.csv to the folder of this file: mean over seeds with its interval over
groups, and MoFore's lead over each control.
"""

import mofore.runtime.openmp  # noqa: F401 # must come before anything that imports torch

# isort: split
import argparse
from pathlib import Path

import numpy as np
from objective_controls import control_rows
from objective_run import Job, Point, Trained, compared_params, final_encoder, merge_folds, prepare, score
from objective_tables import summarise

from mofore.errors import run_stage
from mofore.runtime.device import pick_device
from mofore.training.pretrain import pretrain
from mofore.utils.files import write_csv
from mofore.utils.progress import tell

HERE = Path(__file__).parent
COLUMNS = ["score", "method", "seeds", "seconds", "mean", "low", "high", "std", "lead", "lead_low", "lead_high"]


def run_fold(job: Job, frames: Path) -> Trained:
    """Pretrain on all folds but one, and score the videos of that one."""
    params, train_videos, scored, n_train = prepare(job, frames)
    run = pretrain(params, train_videos)
    encoder = final_encoder(run.model.encoder, params)
    linear_N, nearest_N = score(encoder, scored, n_train, params, pick_device(params.runtime))
    clips = round(run.clips_per_second * run.seconds)
    point = Point(run.seconds, clips, linear_N.astype(int).tolist(), nearest_N.astype(int).tolist())
    tested = scored.table.iloc[n_train:]
    return Trained(job, [point], tested.video.tolist(), tested.group.tolist())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=Path, default=Path("data/frames"), help="output of stage extract_frames")
    parser.add_argument("--folds", type=int, default=3, help="number of folds over all groups")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="seeds of the trainings")
    parser.add_argument("--name", default="folds", help="name of the table")
    args = parser.parse_args()
    start = compared_params("shipped").encoder.start
    runs = control_rows(args.frames, start, args.seeds, args.folds)
    for seed in args.seeds:
        jobs = [
            Job("mofore", start, {}, seed, "clips", 0, [1.0], fold=fold, folds=args.folds) for fold in range(args.folds)
        ]
        runs.append(merge_folds([run_fold(job, args.frames) for job in jobs]))
        hits = runs[-1].points[0]
        tell(f"folds: seed {seed}: linear {np.mean(hits.linear):.3f}, R@1 {np.mean(hits.r_at_1):.3f}")
    table = summarise(runs)[COLUMNS]
    write_csv(HERE / f"{args.name}.csv", table, "%.6g")
    print(table.to_string(index=False, float_format="{:.3f}".format))


if __name__ == "__main__":
    run_stage(main)
