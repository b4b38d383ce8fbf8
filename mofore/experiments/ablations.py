"""What each part of the method is worth: every ablation as a DVC experiment, all in one table and one figure.

    python -m mofore.experiments.ablations queue 1 2 3   # an experiment for each ablation and seed; the default seeds
    dvc queue start
    python -m mofore.experiments.ablations               # ablations/table.csv and figure.png, to be committed

A run belongs to an ablation if its parameters are those of params.yaml with BUDGET and the ablation's values, whatever
its name; `seed` and section `runtime` aside. Queue from a clean commit: DVC shows the experiments of the current one.
"""

import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import DictConfig, OmegaConf
from scipy.stats import t as student

from mofore.config import PARAMS_FILE, check_params, load_params
from mofore.errors import UserError, run_stage
from mofore.evaluation.bootstrap import Interval
from mofore.experiments.ablation_chart import draw
from mofore.experiments.runs import Run, dvc, flat, read_experiments
from mofore.utils.files import write_csv
from mofore.utils.text import counted

Values = dict[str, Any]  # parameters by flat names, as for -S

FOLDER = Path("ablations")
SEEDS = (1, 2, 3)
TARGETS = ("report",)  # the stage that writes the scores of all others into one file
BUDGET: Values = {  # of all runs, the default among them
    "pretrain.epochs": 12,
    "pretrain.min_steps": 0,
    "pretrain.knn_every": 0,
    "embed.clips": 4,
    "scores.folds": 0,
}

ABLATIONS: dict[str, dict[str, Values]] = {  # {}: as params.yaml has it
    "losses": {
        "both": {},
        "forecasting only": {"contrast.weight": 0},
        "contrast only": {"forecast.weight": 0},
        "both, forecasting with weight 1": {"forecast.weight": 1},
    },
    "gap, in video frames": {
        "randomised, 0 to 48": {"forecast.gap_min": 0, "forecast.gap_max": 48},
        "always 0": {"forecast.gap_min": 0, "forecast.gap_max": 0},
        "always 8": {"forecast.gap_min": 8, "forecast.gap_max": 8},
        "always 32": {"forecast.gap_min": 32, "forecast.gap_max": 32},
    },
    "gap distribution": {law: {"forecast.gap_distribution": law} for law in ("uniform", "log", "decreasing")},
    "gap conditioning": {what: {"forecast.gap_conditioning": what} for what in ("gap", "none", "shuffled")},
    "input": {name: {"clip.input": name} for name in ("residual", "rgb", "both")},
    "frames are": {"whole": {"clip.crop": "none"}, "cropped to the centre": {"clip.crop": "center"}},
    "momentum of the EMA": {
        "0.9 to 1": {"momentum.start": 0.9, "momentum.end": 1},
        "0.99 to 1": {"momentum.start": 0.99, "momentum.end": 1},
        "always 0.99": {"momentum.start": 0.99, "momentum.end": 0.99},
        "always 0, no EMA": {"momentum.start": 0, "momentum.end": 0},
    },
    "futures of one group": {"left out": {"contrast.mask_groups": True}, "negatives": {"contrast.mask_groups": False}},
    "augmentation": {
        "as set": {},
        "none": {"augment.crop_min": 1, "augment.flip": 0, "augment.jitter": 0, "augment.grayscale": 0},
        "strong": {"augment.crop_min": 0.2, "augment.jitter": 0.8, "augment.grayscale": 0.8},
    },
    "futures left as they are": {
        "half of them": {"augment.clean_target_prob": 0.5},
        "none": {"augment.clean_target_prob": 0},
    },
    "futures of a context": {str(number): {"forecast.futures": number} for number in (1, 2)},
    "negatives from a queue": {str(number): {"contrast.queue_size": number} for number in (0, 1024)},
    "against collapse": {name: {"contrast.loss": name} for name in ("infonce", "vicreg", "sigreg")},
    "parts of our own": {
        "all": {},
        "without reversed futures": {"contrast.time_reversed_negatives": False},
        "without decorrelation": {"decorrelation.weight": 0},
    },
}

SCORES = {  # where each stands, and what it is called
    "linear": ("mofore.linear", "linear top-1"),
    "r_at_1": ("mofore.r_at_1", "retrieval R@1"),
    "skill": ("mofore.skill", "forecast skill"),  # against persistence
}
FACTS = {"effective_rank": "mofore.effective_rank"}  # no speeds: runs share the machine
COMMAND = "python -m mofore.experiments.ablations"
COMMANDS = f"Made by: {COMMAND} queue && dvc queue start; at the end, {COMMAND}"
PRINTED = [column for score in SCORES for column in (score, f"delta_{score}_low", f"delta_{score}_high")]


@dataclass
class Row:
    """One ablation: what it changes, and the parameters by which its runs are known."""

    section: str
    name: str
    values: Values
    params: Values
    is_default: bool

    @property
    def experiment(self) -> str:
        """What its experiments are called, the seed aside."""
        words = "default" if self.is_default else f"{self.section} {self.name}"
        return "ablation-" + re.sub(r"[^a-z0-9]+", "-", words.lower())


def settings(values: Values) -> list[str]:
    """As -S takes them."""
    return [f"{key}={str(value).lower() if isinstance(value, bool) else value}" for key, value in values.items()]


def fixed(params: Values) -> Values:
    """The parameters that runs of one ablation share."""
    return {key: value for key, value in params.items() if key != "seed" and not key.startswith("runtime.")}


def declared() -> list[Row]:
    """ABLATIONS, section by section, with the default first in each, under its own name if it has one.

    Raises:
        UserError: params.yaml is wrong, or would be with the values of an ablation.
    """
    load_params()
    loaded = OmegaConf.load(PARAMS_FILE)

    def params(values: Values) -> Values:
        merged = OmegaConf.merge(loaded, OmegaConf.from_dotlist(settings(BUDGET | values)))
        assert isinstance(merged, DictConfig)
        return fixed(flat(asdict(check_params(merged, Path(PARAMS_FILE)))))

    default, rows = params({}), []
    for section, variants in ABLATIONS.items():
        own = []
        for name, values in variants.items():
            try:
                changed = params(values)
            except UserError as error:
                raise UserError(f"ablation '{section}: {name}': {error}") from None
            own.append(Row(section, name, values, changed, changed == default))
        if not any(row.is_default for row in own):
            own.append(Row(section, "as set", {}, default, True))
        rows += sorted(own, key=lambda row: not row.is_default)
    return rows


def queue(rows: list[Row], seeds: list[int]) -> None:
    """Queue the runs that are neither there nor on their way; say which are.

    Raises:
        UserError: DVC cannot, or a name is taken by a run with other parameters.
    """
    experiments, queued = read_experiments(), 0
    for row in {row.experiment: row for row in rows}.values():
        for seed in seeds:
            name = f"{row.experiment}-{seed}"
            own = [e for e in experiments if e.params.get("seed") == seed and fixed(e.params) == row.params]
            if any(run.scores for run in own):
                print(f"{name}: has its scores already")
            elif any(run.state in ("queued", "running") for run in own):
                print(f"{name}: waits or runs already")
            elif any(run.name == name and run.state == "success" for run in experiments):
                raise UserError(
                    f"{name}: this commit has an experiment of this name with other parameters: commit what has "
                    f"changed since, or `dvc exp remove {name}`"
                )
            else:
                changes = settings(BUDGET | row.values | {"seed": seed})
                dvc("exp", "run", "--queue", "-n", name, *[part for s in changes for part in ("-S", s)], *TARGETS)
                print(f"{name}: queued")
                queued += 1
    then = "dvc queue start, and at the end python -m mofore.experiments.ablations"
    print(f"ablations: {counted(queued, 'run')} queued; then: {then}")


def runs_of(row: Row, experiments: list[Run]) -> dict[int, Run]:
    """The runs with scores of an ablation, by seed."""
    return {run.params["seed"]: run for run in experiments if run.scores and fixed(run.params) == row.params}


def by_seed(runs: dict[int, Run], score: str) -> pd.Series:
    """A score of each run; NaN where it is not told."""
    return pd.Series({seed: runs[seed].scores.get(score) for seed in sorted(runs)}, dtype=float)


def paired(score: pd.Series, reference: pd.Series) -> Interval:
    """Mean difference of runs with the same seed, and its 95 % interval by Student's t.

    Runs of one seed share test videos and first weights, so their difference varies less than either. With three seeds
    the interval is 4.3 standard errors to each side: only what all three agree on is beyond it. With one it is NaN.
    """
    difference = (score - reference).dropna()
    mean, half = difference.mean(), student.ppf(0.975, len(difference) - 1) * difference.sem()
    return Interval(mean, mean - half, mean + half)


def summarise(rows: list[Row], experiments: list[Run]) -> pd.DataFrame:
    """One line an ablation that has runs.

    Returns:
        Columns section, name, overrides, runs; for each of SCORES its mean over seeds, `_std` (of a sample, over
        seeds), `_low`, `_high` (95 % interval over test groups, mean over the runs); FACTS; `delta_`, each score less
        the default's by `paired`, empty for the default.
    """
    default = runs_of(rows[0], experiments)
    lines = []
    for row in rows:
        own = runs_of(row, experiments)
        if not own:
            continue
        line = {"section": row.section, "name": row.name, "overrides": " ".join(settings(row.values)), "runs": len(own)}
        deltas: dict[str, float] = {}
        for score, (key, _) in SCORES.items():
            seeds = by_seed(own, key)
            line |= {score: seeds.mean(), f"{score}_std": seeds.std()}
            line |= {f"{score}{end}": by_seed(own, key + end).mean() for end in ("_low", "_high")}
            delta = paired(seeds, by_seed({} if row.is_default else default, key))
            deltas |= {f"delta_{score}{end}": x for end, x in zip(("", "_low", "_high"), delta, strict=True)}
        lines.append(line | {fact: by_seed(own, key).mean() for fact, key in FACTS.items()} | deltas)
    return pd.DataFrame(lines)


def each_run(rows: list[Row], experiments: list[Run]) -> pd.DataFrame:
    """One line a run: columns section, name, seed and SCORES."""
    return pd.DataFrame(
        [
            {"section": row.section, "name": row.name, "seed": seed}
            | {score: run.scores.get(key) for score, (key, _) in SCORES.items()}
            for row in rows
            for seed, run in runs_of(row, experiments).items()
        ]
    )


def main() -> None:
    """The command: queue the runs, or gather them into table and figure."""
    arguments = sys.argv[1:]
    if arguments and (arguments[0] != "queue" or not all(seed.isdecimal() for seed in arguments[1:])):
        raise UserError(
            "usage: python -m mofore.experiments.ablations, or python -m mofore.experiments.ablations queue [SEED ...]"
        )
    rows = declared()
    if arguments:
        queue(rows, [int(seed) for seed in arguments[1:]] or list(SEEDS))
        return
    experiments = read_experiments()
    if not runs_of(rows[0], experiments):
        raise UserError(
            "dvc exp show: no run of the default from this commit: run `python -m mofore.experiments.ablations queue` "
            "and `dvc queue start`, or check out the commit that they were queued from"
        )
    table, runs = summarise(rows, experiments), each_run(rows, experiments)
    seeds = sorted({*SEEDS, *runs["seed"]})
    caption = f"All runs, the default's too, with {' '.join(settings(BUDGET)) or 'no other change'}.\n{COMMANDS}"
    write_csv(FOLDER / "table.csv", table, "%.6g")
    draw(table, runs, {score: title for score, (_, title) in SCORES.items()}, caption, FOLDER / "figure.png")
    print(table[["section", "name", "runs", *PRINTED]].to_string(index=False, float_format="{:.3f}".format, na_rep=""))
    print(caption)
    for row in {row.experiment: row for row in rows}.values():
        missing = [str(seed) for seed in seeds if seed not in runs_of(row, experiments)]
        if missing:
            print(f"{row.experiment}: {counted(len(missing), 'run')} missing, seed {', '.join(missing)}")
    print(f"ablations: {len(table)} of {counted(len(rows), 'row')}; see {FOLDER}/table.csv and figure.png")


if __name__ == "__main__":
    run_stage(main)
