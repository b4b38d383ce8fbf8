"""Write the model card of an exported encoder: what it is and has seen, scores with controls, limits, use.

Nothing in it is made up: what is known of the shipped encoder stands in the template, with figures of `docs/`; what is
known of another one is read from the project whose `data/model` it is, and only if `dvc.lock` says that it belongs to
exactly these weights. What is not known is said to be not known.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import yaml

import mofore
from mofore.collection.encoder import SHIPPED_FOLDER, LoadedEncoder
from mofore.config import STREAMS
from mofore.embedding.store import REPRESENTATIONS
from mofore.report.markup import NO_VALUE
from mofore.report.results import ROW_NAMES
from mofore.utils.tables import read_table

MODEL, SCORES, PRETRAIN = "data/model", "results/scores.csv", "results/pretrain.json"  # as in dvc.lock
MEASURES = ("linear", "r_at_1")  # of results/scores.csv, in the order of the card's table
SOURCES = {  # what `data.source` says in the card; never the path, which is nobody else's business
    "demo": "the demo's drawn videos (figures that do 14 actions)",
    "ucf101": "UCF101",
    "folder": "a collection of one's own",
}


@dataclass(frozen=True)
class Record:
    """What a project has recorded of its encoder.

    Attributes:
        source: the videos, in words.
        params: of pretraining, by section, as they were then.
        random_split: scores are of a random split, so recordings are on both sides.
        pretrain: `results/pretrain.json`; None if it is not there.
        scores: for each representation its name, then its scores as text; None if not measured with these weights.
        skill: forecast skill against persistence as text; None as above.
    """

    source: str
    params: dict[str, Any]
    random_split: bool
    pretrain: dict[str, float] | None
    scores: list[list[str]] | None
    skill: str | None


def model_card(
    encoder: LoadedEncoder, config: dict[str, Any], shipped: bool, cosines: dict[str, float], license: str
) -> str:
    """The text of `README.md`: Markdown after YAML that the Hugging Face hub reads.

    Args:
        encoder: that was exported.
        config: content of `config.json`, see `export.describe`.
        shipped: whether these are the shipped weights.
        cosines: by exported format, the smallest cosine with the encoder's own embeddings. Empty for the card in the
            package, see `mofore.collection.shipped_card`.
        license: the hub's name of a licence.
    """
    environment = jinja2.Environment(  # no escaping: Markdown
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("model_card.md.j2").render(
        config=config,
        clip=encoder.clip,
        weights=sum(value.numel() for value in encoder.network.parameters()),
        shipped=shipped,
        made={name: json.loads((SHIPPED_FOLDER / f"{name}.json").read_text()) for name in STREAMS} if shipped else None,
        record=None if shipped else read_record(Path(encoder.source)),
        cosines=cosines,
        license=license,
        version=mofore.__version__,
    )


def read_record(folder: Path) -> Record | None:
    """Read what a project has recorded of the encoder in `folder`.

    Returns:
        None, if the folder is not `data/model` of a DVC project, or its files are not those that `dvc.lock` names.
    """
    project = folder.parent.parent
    lock_file = project / "dvc.lock"
    if folder != project / MODEL or not lock_file.is_file():
        return None
    stages = yaml.safe_load(lock_file.read_text("utf-8"))["stages"]
    model = hash_folder(folder)
    if _locked(stages, "pretrain", "outs", MODEL) != model:
        return None
    scores = None
    if _locked(stages, "report", "deps", MODEL) == model and _is_locked(project, stages, "report", SCORES):
        scores = read_table(project / SCORES, {"row", "measure"})
    pretrained = _is_locked(project, stages, "pretrain", PRETRAIN)
    data = stages["manifest"]["params"]["params.yaml"]["data"]
    return Record(
        source=SOURCES[data["source"]],
        params=stages["pretrain"]["params"]["params.yaml"],
        random_split=data["split"] == "random",
        pretrain=json.loads((project / PRETRAIN).read_text("utf-8")) if pretrained else None,
        scores=None if scores is None else _score_rows(scores),
        skill=None if scores is None else _score(scores, "mofore", "skill"),
    )


def _score_rows(scores: pd.DataFrame) -> list[list[str]]:
    """Rows of the card's table; none if there were no labels to score with."""
    return [
        [ROW_NAMES[row] if row != "mofore" else "**this encoder**", *(_score(scores, row, name) for name in MEASURES)]
        for row in REPRESENTATIONS
        if ((scores.row == row) & scores.measure.isin(MEASURES)).any()
    ]


def _score(scores: pd.DataFrame, row: str, measure: str) -> str:
    """A score with its 95 % interval."""
    found = scores[(scores.row == row) & (scores.measure == measure)]
    if found.empty:
        return NO_VALUE
    score, low, high = found[["score", "low", "high"]].to_numpy(float)[0]
    return f"{score:.3f} ({low:.3f} to {high:.3f})"


def hash_folder(folder: Path) -> str:
    """DVC's hash of a folder: MD5 of a JSON list of its files with their MD5."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    relative = {file.relative_to(folder).as_posix(): hashlib.md5(file.read_bytes()).hexdigest() for file in files}
    listed = [{"md5": relative[name], "relpath": name} for name in sorted(relative)]
    return hashlib.md5(json.dumps(listed, sort_keys=True).encode()).hexdigest() + ".dir"


def _is_locked(project: Path, stages: dict[str, Any], stage: str, path: str) -> bool:
    """Whether a file is there and is the one that a stage has written."""
    file = project / path
    return file.is_file() and hashlib.md5(file.read_bytes()).hexdigest() == _locked(stages, stage, "outs", path)


def _locked(stages: dict[str, Any], stage: str, kind: str, path: str) -> str | None:
    """The hash that dvc.lock has of a path among the `deps` or `outs` of a stage."""
    entries = stages.get(stage, {}).get(kind, [])
    return next((entry.get("md5") for entry in entries if entry["path"] == path), None)
