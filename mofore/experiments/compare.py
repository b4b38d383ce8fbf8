"""Choose parameters without looking at a test side: compare a change with params.yaml on the training sides of sets.

    mofore compare queue embed.spread=0 --set demo --set /data/ucf101 --seed 1 --seed 2
    dvc queue start
    mofore compare embed.spread=0 --set demo --set /data/ucf101 --seed 1 --seed 2

The first command queues a DVC experiment for each set, seed, and params.yaml with and without the change, up to stage
`embed`: no test score is computed. The last command scores the embeddings of training videos by cross-validation over
their groups, and prints the differences with their intervals. The encoder has seen these videos in pretraining, without
labels.

With --held-out, in both commands, each run trains on two thirds of the groups of a training side and is scored on the
last third, which it has not seen; also by the skill of its forecasts. Seeds 1, 2 and 3 hold out a third each.

Whoever tries many changes and keeps the best must expect a smaller gain elsewhere. Queue from a clean commit, because
DVC shows only the experiments of the current commit.
"""

import argparse
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from omegaconf import DictConfig, OmegaConf

from mofore.config import PARAMS_FILE, Params, check_params, load_params
from mofore.embedding.store import read_embeddings
from mofore.errors import UserError, run_stage
from mofore.experiments.ablations import shared_params
from mofore.experiments.compare_scores import (
    VARIANTS,
    differences,
    held_out_errors,
    held_out_hits,
    skill_difference,
    training_hits,
)
from mofore.experiments.held_out import held_out_folder, third_of
from mofore.experiments.runs import Run, dvc, flatten, read_experiments
from mofore.utils.text import counted

COMMAND = "mofore compare"
OF_THE_SETS = ("seed", "data", "demo")  # what --set and --seed choose
AFTER_EMBED = ("supervised", "scores", "linear", "knn", "temporal", "report", "runtime")  # no embedding depends on them


class Key(NamedTuple):
    """Names a run of a comparison: its set, one of VARIANTS, and its seed."""

    set: str
    variant: str
    seed: int

    def __str__(self) -> str:
        return f"{self.set}, {self.variant}, seed {self.seed}"


@dataclass
class Wanted:
    """A run of a comparison: what it changes in params.yaml, as `dvc exp run -S` takes it, and all its parameters."""

    overrides: list[str]
    params: Params


def main() -> None:
    """Run `queue_or_compare` with the words of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="+", help="[queue] KEY=VALUE ..., as for `dvc exp run -S`")
    # As in `mofore compare`; the older form is `--sets demo /data/ucf101`.
    parser.add_argument("--set", "--sets", dest="sets", action="extend", nargs="+", help="demo, or folders of videos")
    parser.add_argument("--seed", "--seeds", dest="seeds", action="extend", nargs="+", type=int, help="default: 1")
    parser.add_argument("--held-out", action="store_true", help="score groups that the encoder has not seen")
    args = parser.parse_args()
    queue_or_compare(args.words, args.sets or ["demo"], args.seeds or [1], args.held_out)


def queue_or_compare(words: list[str], sets: list[str], seeds: list[int], held_out: bool = False) -> None:
    """Queue the runs, or score them and print the differences.

    Args:
        words: the change as KEY=VALUE; before it `queue`, to queue the runs.
        sets: "demo", or folders of labelled videos.
        seeds: of the runs.
        held_out: score a third of the groups, which the encoder has not seen.

    Raises:
        UserError: the words are others, a parameter or a set is wrong, DVC fails, or a run is missing.
    """
    only_queue, change = words[:1] == ["queue"], [word for word in words if word != "queue"]
    if not change or not all("=" in word for word in change):
        raise UserError(f"{' '.join(words)}: write the change as KEY=VALUE, for example embed.spread=0")
    wanted = plan(sets, seeds, change, held_out)
    experiments = read_experiments()
    if only_queue:
        queue(wanted, experiments)
        return
    runs = {key: found(run.params, experiments) for key, run in wanted.items()}
    if missing := [str(key) for key, run in runs.items() if run is None]:
        again = f"{COMMAND} queue ...{' --held-out' if held_out else ''}"
        raise UserError(f"{'; '.join(missing)}: no such finished run of this commit: run `{again}`, `dvc queue start`")
    revs = {key: run.rev for key, run in runs.items() if run}
    score = score_held_out if held_out else score_folds
    tables = [
        score({key: rev for key, rev in revs.items() if key.set == name}, wanted).assign(set=name)
        for name in dict.fromkeys(sets)
    ]
    table = pd.concat(tables)[["set", "score", *VARIANTS, "difference", "low", "high", "scored", "groups"]]
    print(table.to_string(index=False, float_format="{:.3f}".format))
    how = "held-out thirds of the groups of training sides" if held_out else "training videos only, folds by group"
    print(f"compare: {' '.join(change)}; {how}; seeds {', '.join(map(str, seeds))}")


def plan(sets: list[str], seeds: list[int], change: list[str], held_out: bool = False) -> dict[Key, Wanted]:
    """The runs that a comparison needs.

    Raises:
        UserError: a set is no folder, a parameter is wrong, or the change changes nothing.
    """
    for word in change:
        section = word.partition("=")[0].partition(".")[0]
        if section in OF_THE_SETS:
            raise UserError(f"{word}: the sets and seeds are not part of a change: give --set and --seed")
        if section in AFTER_EMBED:
            raise UserError(
                f"{word}: no embedding depends on section {section}, so nothing would differ: change another"
            )
    runs: dict[Key, Wanted] = {}
    for name in sets:
        if name != "demo" and not Path(name).is_dir():
            raise UserError(f"{name}: no such folder: give demo, or folders of videos")
        for seed in seeds:
            own: dict[str, Any] = {"seed": seed, "data.source": "demo"}
            if held_out:
                folder = held_out_folder(name, third_of(seed), load_params())
                own |= {"data.source": "folder", "data.path": str(folder)}
            elif name != "demo":
                own |= {"data.source": "folder", "data.path": str(Path(name).resolve())}  # runs have other folders
            before, after = (_wanted(own, words) for words in ([], change))
            if before.params == after.params:
                raise UserError(f"{' '.join(change)}: {PARAMS_FILE} has these values already: change others")
            runs |= {Key(name, VARIANTS[0], seed): before, Key(name, VARIANTS[1], seed): after}
    return runs


def _wanted(own: dict[str, Any], change: list[str]) -> Wanted:
    """A run with its own values and a change of params.yaml, which is checked."""
    merged = OmegaConf.merge(OmegaConf.load(PARAMS_FILE), OmegaConf.from_dotlist(change))
    for key, value in own.items():
        OmegaConf.update(merged, key, value)
    assert isinstance(merged, DictConfig)
    overrides = [f"{key}={_quoted(value) if key == 'data.path' else value}" for key, value in own.items()]
    return Wanted([*overrides, *change], check_params(merged, Path(PARAMS_FILE)))


def _quoted(path: str) -> str:
    """A path as -S takes it, which splits at commas and knows few letters outside of quotes."""
    return "'" + path.replace("'", r"\'") + "'"


def identity(params: dict[str, Any]) -> dict[str, Any]:
    """The flat parameters by which a run is found: all but section `runtime`."""
    return {**shared_params(params), "seed": params.get("seed")}


def found(params: Params, experiments: list[Run]) -> Run | None:
    """The successful experiment with these parameters, if there is one.

    The current commit is none: it may hold embeddings of older code, or none at all.
    """
    wanted = identity(flatten(asdict(params)))
    for run in experiments:
        if run.state == "success" and identity(run.params) == wanted:
            return run
    return None


def queue(wanted: dict[Key, Wanted], experiments: list[Run]) -> None:
    """Queue the runs that are missing, and print a line for each run."""
    waiting = [identity(run.params) for run in experiments if run.state in ("queued", "running")]
    queued = 0
    for key, run in wanted.items():
        own = identity(flatten(asdict(run.params)))
        if found(run.params, experiments):
            print(f"{key}: already run")
        elif own in waiting:
            print(f"{key}: already queued or running")
        else:
            dvc("exp", "run", "--queue", *[part for change in run.overrides for part in ("-S", change)], "embed")
            print(f"{key}: queued")
            waiting.append(own)
            queued += 1
    print(
        f"compare: {counted(queued, 'run')} queued; next: dvc queue start; when all have ended, the same without queue"
    )


def score_folds(revs: dict[Key, str], wanted: dict[Key, Wanted]) -> pd.DataFrame:
    """The table of a set: its training videos in folds by group. `revs`: the commits of the runs."""
    hits = []
    for key, rev in revs.items():
        with tempfile.TemporaryDirectory() as folder:
            dvc("get", ".", "data/embeddings/mofore.parquet", "--rev", rev, "--out", f"{folder}/mofore.parquet")
            videos = read_embeddings(Path(folder), "mofore")
        hits.append(training_hits(videos, wanted[key].params).assign(variant=key.variant, seed=key.seed))
    return differences(pd.concat(hits))


def score_held_out(revs: dict[Key, str], wanted: dict[Key, Wanted]) -> pd.DataFrame:
    """The table of a set: the videos that its runs have held out. `revs`: the commits of the runs."""
    hits, errors = [], []
    for key, rev in revs.items():
        params = wanted[key].params
        with tempfile.TemporaryDirectory() as folder:
            for data in ("embeddings", "model"):
                dvc("get", ".", f"data/{data}", "--rev", rev, "--out", f"{folder}/{data}")
            videos = read_embeddings(Path(folder) / "embeddings", "mofore")
            hits.append(held_out_hits(videos, params).assign(variant=key.variant, seed=key.seed))
            errors.append(held_out_errors(Path(folder), params).assign(variant=key.variant))
    return pd.concat([differences(pd.concat(hits)), skill_difference(pd.concat(errors))])


if __name__ == "__main__":
    run_stage(main)
