"""Measure what each part of the method contributes: one DVC experiment per ablation and seed, one table, one figure.

    mofore ablations queue 1 2 3   # queue the experiments; 1 2 3 are the default seeds
    dvc queue start
    mofore ablations               # write ablations/: table.csv, runs.csv and figure.png

With `paper` before `queue`, or alone, the same for the configuration of the paper, on the videos of params.yaml. Commit
the table and the figure.

A run belongs to an ablation if its parameters equal those of its set (see ablation_sets.py) with the budget and the
ablation's values applied. `seed`, section `runtime` and the name of the experiment do not matter. Queue from a clean
commit, because DVC shows only the experiments of the current commit.
"""

import os
import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import pandas as pd
from omegaconf import DictConfig, OmegaConf
from scipy.stats import t as student

from mofore.config import PARAMS_FILE, check_params, load_params
from mofore.errors import UserError, run_stage
from mofore.evaluation.bootstrap import Interval
from mofore.experiments.ablation_chart import draw
from mofore.experiments.ablation_sets import SETS, AblationSet, Values
from mofore.experiments.presets import compose_preset
from mofore.experiments.runs import Run, dvc, flatten, read_experiments
from mofore.utils.files import write_csv
from mofore.utils.text import counted
from mofore.videos.temporary_copy import is_in_copies

SEEDS = (1, 2, 3)
TARGETS = ("report",)  # the stage that writes the scores of all others into one file
SCORES = {  # column of the table: (key in `Run.scores`, title in the figure)
    "linear": ("mofore.linear", "linear top-1"),
    "r_at_1": ("mofore.r_at_1", "retrieval R@1"),
    "skill": ("mofore.skill", "forecast skill"),  # against persistence
}
DIAGNOSTICS = {"effective_rank": "mofore.effective_rank"}  # columns without intervals; no speed: runs share the machine
COMMAND = "mofore ablations"
NOT_OF_A_PRESET = ("seed", "data", "demo", "frames", "runtime")  # an ablation keeps the videos of params.yaml
PRINTED_COLUMNS = [column for score in SCORES for column in (score, f"delta_{score}_low", f"delta_{score}_high")]


@dataclass
class Row:
    """One ablation.

    Attributes:
        section: the part of the method that it changes.
        name: what it changes it to.
        values: parameters that it changes.
        overrides: all parameters that its runs change in params.yaml: those of the set, the budget, and `values`.
        params: all parameters of its runs apart from `seed` and section `runtime`. Its runs are found by these.
        is_default: whether it changes nothing in the configuration of its set.
        prefix: begins the names of its experiments.
    """

    section: str
    name: str
    values: Values
    overrides: Values
    params: Values
    is_default: bool
    prefix: str

    @property
    def experiment(self) -> str:
        """Name of its experiments in DVC, without the seed. All defaults of a set share one name."""
        words = "default" if self.is_default else f"{self.section} {self.name}"
        return self.prefix + re.sub(r"[^a-z0-9]+", "-", words.lower())


def to_overrides(values: Values) -> list[str]:
    """Values as `KEY=VALUE`, the form that `dvc exp run -S` takes."""
    return [f"{key}={str(value).lower() if isinstance(value, bool) else value}" for key, value in values.items()]


def shared_params(params: Values) -> Values:
    """The parameters that all runs of one ablation share: all but `seed` and section `runtime`."""
    return {key: value for key, value in params.items() if key != "seed" and not key.startswith("runtime.")}


def ablation_rows(name: str) -> list[Row]:
    """The rows of the table of a set, with the default as the first row of each section.

    A section in which no ablation equals the set's configuration gets a row "as set" for the default.

    Args:
        name: key of SETS.

    Raises:
        UserError: params.yaml is invalid, by itself or with the values of an ablation.
    """
    load_params()
    loaded, chosen = OmegaConf.load(PARAMS_FILE), SETS[name]
    common = _preset_changes(chosen) | chosen.budget

    def params(values: Values) -> Values:
        merged = OmegaConf.merge(loaded, OmegaConf.from_dotlist(to_overrides(common | values)))
        assert isinstance(merged, DictConfig)
        return shared_params(flatten(asdict(check_params(merged, Path(PARAMS_FILE)))))

    prefix = "ablation-" if name == "default" else f"ablation-{name}-"
    default, rows = params({}), []
    for section, variants in chosen.sections.items():
        own = []
        for variant, values in variants.items():
            try:
                changed = params(values)
            except UserError as error:
                raise UserError(f"ablation '{section}: {variant}': {error}") from None
            own.append(Row(section, variant, values, common | values, changed, changed == default, prefix))
        if not any(row.is_default for row in own):
            own.append(Row(section, "as set", {}, common, default, True, prefix))
        rows += sorted(own, key=lambda row: not row.is_default)
    return rows


def _preset_changes(chosen: AblationSet) -> Values:
    """The values of the set's preset that differ from params.yaml, apart from sections NOT_OF_A_PRESET."""
    if not chosen.preset:
        return {}
    current, preset = (
        flatten(cast(dict[str, Any], OmegaConf.to_container(loaded)))
        for loaded in (OmegaConf.load(PARAMS_FILE), compose_preset(chosen.preset, []))
    )
    return {
        key: value
        for key, value in preset.items()
        if key.split(".")[0] not in NOT_OF_A_PRESET and value != current.get(key)
    }


def queue(rows: list[Row], seeds: list[int], command: str = COMMAND) -> None:
    """Queue the runs that have no scores and are neither queued nor running. Print a line for each run.

    Raises:
        UserError: DVC fails, another experiment with other parameters already has the name of a run, or the videos
            are where the queue does not find them.
    """
    data = load_params().data
    if data.source != "demo" and not is_in_copies(Path(data.path)):
        raise UserError(
            f"{PARAMS_FILE}: data.path is '{data.path}', but the queue runs elsewhere: set it to the full path, "
            f"{os.path.abspath(data.path)}"
        )
    experiments, queued = read_experiments(), 0
    for row in {row.experiment: row for row in rows}.values():
        for seed in seeds:
            name = f"{row.experiment}-{seed}"
            own = [e for e in experiments if e.params.get("seed") == seed and shared_params(e.params) == row.params]
            if any(run.scores for run in own):
                print(f"{name}: already has scores")
            elif any(run.state in ("queued", "running") for run in own):
                print(f"{name}: already queued or running")
            elif any(run.name == name and run.state == "success" for run in experiments):
                raise UserError(
                    f"{name}: an experiment of this commit has this name but other parameters: commit your changes, "
                    f"or run `dvc exp remove {name}`"
                )
            else:
                changes = to_overrides(row.overrides | {"seed": seed})
                dvc("exp", "run", "--queue", "-n", name, *[part for s in changes for part in ("-S", s)], *TARGETS)
                print(f"{name}: queued")
                queued += 1
    print(f"ablations: {counted(queued, 'run')} queued; next: dvc queue start; when all have ended: {command}")


def runs_of(row: Row, experiments: list[Run]) -> dict[int, Run]:
    """The runs of an ablation that have scores, by seed."""
    return {run.params["seed"]: run for run in experiments if run.scores and shared_params(run.params) == row.params}


def scores_by_seed(runs: dict[int, Run], score: str) -> pd.Series:
    """One score of each run, indexed by seed in rising order; NaN where a run lacks the score."""
    return pd.Series({seed: runs[seed].scores.get(score) for seed in sorted(runs)}, dtype=float)


def paired_difference(score: pd.Series, reference: pd.Series) -> Interval:
    """Mean difference of runs with the same seed, and its 95 % confidence interval by Student's t.

    Runs with the same seed share test videos and initial weights, so their difference varies less than either score.
    With three seeds the interval is 4.3 standard errors to each side: it excludes 0 only if all three differences
    have the same sign. With one seed its ends are NaN.

    Args:
        score, reference: one score per seed, indexed by seed. Seeds that only one of them has are ignored.
    """
    difference = (score - reference).dropna()
    mean, half = difference.mean(), student.ppf(0.975, len(difference) - 1) * difference.sem()
    return Interval(mean, mean - half, mean + half)


def summarise(rows: list[Row], experiments: list[Run]) -> pd.DataFrame:
    """Tabulate the ablations that have runs, one row each.

    Returns:
        Columns section, name, overrides and runs (how many). For each of SCORES: `SCORE` (mean over seeds),
        `SCORE_std` (sample standard deviation over seeds), `SCORE_low` and `SCORE_high` (ends of the 95 % interval over
        test groups, averaged over seeds). Each of DIAGNOSTICS (mean over seeds). For each of SCORES: `delta_SCORE`,
        `delta_SCORE_low` and `delta_SCORE_high`: `paired_difference` from the default; NaN for the default itself.
    """
    default = runs_of(rows[0], experiments)
    lines = []
    for row in rows:
        own = runs_of(row, experiments)
        if not own:
            continue
        overrides = " ".join(to_overrides(row.values))
        line = {"section": row.section, "name": row.name, "overrides": overrides, "runs": len(own)}
        deltas: dict[str, float] = {}
        for score, (key, _) in SCORES.items():
            seeds = scores_by_seed(own, key)
            line |= {score: seeds.mean(), f"{score}_std": seeds.std()}
            line |= {f"{score}{end}": scores_by_seed(own, key + end).mean() for end in ("_low", "_high")}
            delta = paired_difference(seeds, scores_by_seed({} if row.is_default else default, key))
            deltas |= {f"delta_{score}{end}": x for end, x in zip(("", "_low", "_high"), delta, strict=True)}
        lines.append(line | {name: scores_by_seed(own, key).mean() for name, key in DIAGNOSTICS.items()} | deltas)
    return pd.DataFrame(lines)


def tabulate_runs(rows: list[Row], experiments: list[Run]) -> pd.DataFrame:
    """Tabulate the runs, one row each: columns section, name, seed and SCORES."""
    return pd.DataFrame(
        [
            {"section": row.section, "name": row.name, "seed": seed}
            | {score: run.scores.get(key) for score, (key, _) in SCORES.items()}
            for row in rows
            for seed, run in runs_of(row, experiments).items()
        ]
    )


def queue_or_tabulate(words: list[str], out: Path | None = None) -> None:
    """Queue the runs, or collect their scores into the table and the figure.

    Args:
        words: the name of a set, which may be left out; then nothing, or `queue` and seeds.
        out: folder of table and figure; None: that of the set.

    Raises:
        UserError: the words are others, DVC fails, or no run of the default has scores.
    """
    name, *arguments = words if words and words[0] in SETS else ["default", *words]
    if arguments and (arguments[0] != "queue" or not all(seed.isdecimal() for seed in arguments[1:])):
        raise UserError(
            f"usage: {COMMAND} [{'|'.join(SETS)}] queue [SEED ...] to queue the runs, or the same without queue to "
            "tabulate their scores"
        )
    command, folder = COMMAND if name == "default" else f"{COMMAND} {name}", out or SETS[name].folder
    rows = ablation_rows(name)
    if arguments:
        queue(rows, [int(seed) for seed in arguments[1:]] or list(SEEDS), command)
        return
    experiments = read_experiments()
    if not runs_of(rows[0], experiments):
        raise UserError(
            f"dvc exp show: no run of the default from this commit: run `{command} queue` and `dvc queue start`, "
            "or check out the commit from which the runs were queued"
        )
    table, runs = summarise(rows, experiments), tabulate_runs(rows, experiments)
    seeds = sorted({*SEEDS, *runs["seed"]})
    budget = " ".join(to_overrides(SETS[name].budget)) or "no other change"
    caption = (
        f"All runs, the default's too, with {budget}.\n"
        f"Made by: {command} queue && dvc queue start; at the end, {command}"
    )
    write_csv(folder / "table.csv", table, "%.6g")
    write_csv(folder / "runs.csv", runs, "%.6g")
    draw(table, runs, {score: title for score, (_, title) in SCORES.items()}, caption, folder / "figure.png")
    printed = table[["section", "name", "runs", *PRINTED_COLUMNS]]
    print(printed.to_string(index=False, float_format="{:.3f}".format, na_rep=""))
    print(caption)
    for row in {row.experiment: row for row in rows}.values():
        missing = [str(seed) for seed in seeds if seed not in runs_of(row, experiments)]
        if missing:
            print(f"{row.experiment}: {counted(len(missing), 'run')} missing, seed {', '.join(missing)}")
    print(f"ablations: {len(table)} of {counted(len(rows), 'row')}; see {folder}/table.csv, runs.csv and figure.png")


def main() -> None:
    """Run `queue_or_tabulate` with the words of the command line."""
    queue_or_tabulate(sys.argv[1:])


if __name__ == "__main__":
    run_stage(main)
