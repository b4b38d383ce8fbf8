"""Choose parameters without looking at a test side: compare a change with params.yaml on the training sides of sets.

    mofore compare queue embed.spread=0 --set demo --set /data/ucf101 --seed 1 --seed 2
    dvc queue start
    mofore compare embed.spread=0 --set demo --set /data/ucf101 --seed 1 --seed 2

The first command queues a DVC experiment for each set, seed, and params.yaml with and without the change, up to stage
`embed`: no test score is computed. The last command scores the embeddings of training videos by cross-validation over
their groups, and prints the differences with their intervals. The encoder has seen these videos in pretraining, without
labels. Whoever tries many changes and keeps the best must expect a smaller gain elsewhere.

Queue from a clean commit, because DVC shows only the experiments of the current commit.
"""

import argparse
import re
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
from joblib import delayed
from omegaconf import DictConfig, OmegaConf

from mofore.config import PARAMS_FILE, Params, check_params, load_params
from mofore.embedding.store import Embeddings, read_embeddings
from mofore.errors import UserError, run_stage
from mofore.evaluation.bootstrap import group_interval
from mofore.evaluation.cross_validation import labelled_folds
from mofore.evaluation.knn import evaluate_knn
from mofore.evaluation.linear import evaluate_linear
from mofore.experiments.ablations import shared_params, to_overrides
from mofore.experiments.runs import Run, dvc, flatten, read_experiments
from mofore.utils.text import counted
from mofore.utils.workers import in_processes, worker_count

FOLDS = 5
SCORES = ("linear", "r_at_1")
COMMAND = "mofore compare"
EMBEDDINGS_FILE = "data/embeddings/mofore.parquet"


def main() -> None:
    """Run `queue_or_compare` with the words of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="+", help="[queue] KEY=VALUE ..., as for `dvc exp run -S`")
    parser.add_argument("--sets", nargs="+", default=["demo"], help="demo, or folders of labelled videos")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1], help="default: 1")
    args = parser.parse_args()
    queue_or_compare(args.words, args.sets, args.seeds)


def queue_or_compare(words: list[str], sets: list[str], seeds: list[int]) -> None:
    """Queue the runs, or score them and print the differences.

    Args:
        words: the change as KEY=VALUE; before it `queue`, to queue the runs.
        sets: "demo", or folders of labelled videos.
        seeds: of the runs.

    Raises:
        UserError: the words are others, a parameter or a set is wrong, DVC fails, or a run is missing.
    """
    only_queue, change = words[:1] == ["queue"], [word for word in words if word != "queue"]
    if not change or not all("=" in word for word in change):
        raise UserError(f"{' '.join(words)}: write the change as KEY=VALUE, for example embed.spread=0")
    wanted = plan(sets, seeds, change)
    experiments = read_experiments()
    if only_queue:
        queue(wanted, experiments)
        return
    tables = []
    for name in sets:
        of_set = {key: found(overrides, experiments) for key, overrides in wanted.items() if key[0] == name}
        if missing := [experiment_name(*key) for key, run in of_set.items() if run is None]:
            raise UserError(f"{', '.join(missing)}: no such run of this commit: run `{COMMAND} queue ...`")
        hits = [
            training_hits(embeddings_of(run), load_params()).assign(variant=key[1], seed=key[2])
            for key, run in of_set.items()
            if run
        ]
        tables.append(differences(pd.concat(hits)).assign(set=Path(name).name))
    table = pd.concat(tables)[
        ["set", "score", "params.yaml", "changed", "difference", "low", "high", "videos", "groups"]
    ]
    print(table.to_string(index=False, float_format="{:.3f}".format))
    print(f"compare: {' '.join(change)}; training videos only, {FOLDS} folds by group, mean of seeds {seeds}")


Key = tuple[str, str, int]  # set, "params.yaml" or "changed", seed


def plan(sets: list[str], seeds: list[int], change: list[str]) -> dict[Key, list[str]]:
    """What each run changes in params.yaml, as `KEY=VALUE`.

    Raises:
        UserError: a set is no folder, or a parameter is wrong.
    """
    runs: dict[Key, list[str]] = {}
    for name in sets:
        if name != "demo" and not Path(name).is_dir():
            raise UserError(f"{name}: no such folder: give demo, or folders of videos")
        source = {"data.source": "demo"} if name == "demo" else {"data.source": "folder", "data.path": _absolute(name)}
        for seed in seeds:
            common = to_overrides({**source, "seed": seed})
            runs |= {(name, "params.yaml", seed): common, (name, "changed", seed): common + change}
    for overrides in runs.values():
        params_with(overrides)  # checks them
    return runs


def _absolute(path: str) -> str:
    return str(Path(path).resolve())  # experiments run in other folders


def params_of(params: dict[str, Any]) -> dict[str, Any]:
    """The flat parameters by which a run is found: all but section `runtime`."""
    return {**shared_params(params), "seed": params.get("seed")}


def params_with(overrides: list[str]) -> dict[str, Any]:
    """`params_of` params.yaml with these changes, which are checked."""
    merged = OmegaConf.merge(OmegaConf.load(PARAMS_FILE), OmegaConf.from_dotlist(overrides))
    assert isinstance(merged, DictConfig)
    return params_of(flatten(asdict(check_params(merged, Path(PARAMS_FILE)))))


def found(overrides: list[str], experiments: list[Run]) -> Run | None:
    """The successful run with these parameters, if there is one."""
    wanted = params_with(overrides)
    for run in experiments:
        if run.state == "success" and params_of(run.params) == wanted:
            return run
    return None


def experiment_name(name: str, variant: str, seed: int) -> str:
    """Name of a run for messages."""
    return re.sub(r"[^a-z0-9]+", "-", f"{Path(name).name} {variant} seed {seed}".lower())


def queue(wanted: dict[Key, list[str]], experiments: list[Run]) -> None:
    """Queue the runs that are missing, and print a line for each run."""
    waiting = [params_of(run.params) for run in experiments if run.state in ("queued", "running")]
    queued = 0
    for key, overrides in wanted.items():
        if found(overrides, experiments):
            print(f"{experiment_name(*key)}: already run")
        elif params_with(overrides) in waiting:
            print(f"{experiment_name(*key)}: already queued or running")
        else:
            dvc("exp", "run", "--queue", *[part for change in overrides for part in ("-S", change)], "embed")
            print(f"{experiment_name(*key)}: queued")
            queued += 1
    print(
        f"compare: {counted(queued, 'run')} queued; next: dvc queue start; when all have ended, the same without queue"
    )


def embeddings_of(run: Run) -> Embeddings:
    """The embeddings of the encoder of a run, from DVC's cache."""
    with tempfile.TemporaryDirectory() as folder:
        dvc("get", ".", EMBEDDINGS_FILE, "--rev", run.rev, "--out", f"{folder}/mofore.parquet")
        return read_embeddings(Path(folder), "mofore")


def training_hits(videos: Embeddings, params: Params) -> pd.DataFrame:
    """Which labelled training videos are classified and retrieved right, in folds over groups.

    Args:
        videos: embeddings of all videos of a run; those of the test side are not used.
        params: protocol of linear evaluation and kNN. The folds do not depend on the seed.

    Returns:
        Columns video, group and SCORES (1: right, 0: wrong).

    Raises:
        UserError: the training side has less than two classes or groups.
    """
    train = videos.labelled("train")
    masks = labelled_folds(train, FOLDS, seed=0)
    if not masks:
        raise UserError("the training side needs labels of two classes in two groups")
    folds = [(train.rows(fold_N), train.rows(~fold_N)) for fold_N in masks]
    jobs = [delayed(evaluate_linear)(*fold, params.linear.holdout, 0) for fold in folds]
    linear = list(in_processes(jobs, worker_count(params.runtime.workers)))
    tables = [
        pd.DataFrame(
            {
                "video": test.video,
                "group": test.group,
                "linear": of_fold.hit_N,
                "r_at_1": evaluate_knn(test, rest, params.knn).hit_NR[:, 0],
            }
        )
        for of_fold, (test, rest) in zip(linear, folds, strict=True)
    ]
    return pd.concat(tables, ignore_index=True).astype(dict.fromkeys(SCORES, float))


def differences(hits: pd.DataFrame) -> pd.DataFrame:
    """Mean scores with and without the change, and their difference on the same videos.

    Args:
        hits: `training_hits` of each run, with columns variant and seed.

    Returns:
        A row for each of SCORES: score, params.yaml, changed; difference, low, high: 95 % interval by bootstrap over
        groups, after averaging over seeds, so chance by initial weights is not in it; videos, groups: how many.
    """
    seeds = hits.groupby(["video", "group", "variant"])[list(SCORES)].mean().unstack("variant").dropna()
    group_V = seeds.index.get_level_values("group").to_numpy(str)
    rows = []
    for score in SCORES:
        before, after = (seeds[score][variant] for variant in ("params.yaml", "changed"))
        interval = group_interval((after - before).to_numpy(), group_V)
        rows.append(
            {
                "score": score,
                "params.yaml": before.mean(),
                "changed": after.mean(),
                "difference": interval.mean,
                "low": interval.low,
                "high": interval.high,
                "videos": len(seeds),
                "groups": len(set(group_V)),
            }
        )
    return pd.DataFrame(rows)


if __name__ == "__main__":
    run_stage(main)
