"""Loads params.yaml into typed dataclasses and checks every value.

`load_params` checks the whole file before a stage starts its work. It reports unknown keys, missing keys, wrong types,
values out of range, and combinations that cannot work. The comments in params.yaml give the meaning and unit of each
key.
"""

import difflib
import math
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mofore.errors import UserError

PARAMS_FILE = "params.yaml"
MIN_BATCH = 4  # videos; the contrast needs others
STREAMS = ("motion", "appearance")  # of a two-stream encoder, in this order
RENAMED = {  # key of an earlier version -> its present name, for the error message
    "augment.plain": "augment.clean_target_prob",
    "forecast.gap_law": "forecast.gap_distribution",
    "forecast.told": "forecast.gap_conditioning (and its value: gap stays gap, nothing -> none, wrong -> shuffled)",
    "forecast.projection": "forecast.projection_dim",
    "forecast.hidden": "forecast.hidden_dim",
    "contrast.queue": "contrast.queue_size",
    "contrast.reversed": "contrast.time_reversed_negatives",
    "runtime.stall": "runtime.decode_timeout",
}


def within(low: float, high: float = math.inf) -> dict[str, Any]:
    """Field metadata: the value must be a number in [low, high]."""
    return {"range": (low, high)}


def one_of(*names: str | int) -> dict[str, Any]:
    """Field metadata: the value must be one of these names."""
    return {"choices": names}


@dataclass
class Data:
    source: str = field(metadata=one_of("demo", "folder", "ucf101"))
    path: str
    split: int | str = field(metadata=one_of(1, 2, 3, "random"))
    max_bad_share: float = field(metadata=within(0, 1))


@dataclass
class Demo:
    seed: int = field(metadata=within(0, 2**31 - 1))
    groups: int = field(metadata=within(4, 99))
    clips: int = field(metadata=within(1, 99))


@dataclass
class Frames:
    short_side: int = field(metadata=within(16, 2160))
    fps: float = field(metadata=within(0, 1000))
    jpeg_quality: int = field(metadata=within(1, 100))


@dataclass
class Clip:
    frames: int = field(metadata=within(2, 256))
    stride: int = field(metadata=within(1, 64))
    size: int = field(metadata=within(16, 1024))
    crop: str = field(metadata=one_of("none", "center"))
    input: str = field(metadata=one_of("rgb", "residual", "both", "two_stream"))


@dataclass
class Augment:
    crop_min: float = field(metadata=within(0.05, 1))
    flip: float = field(metadata=within(0, 1))
    jitter: float = field(metadata=within(0, 1))
    grayscale: float = field(metadata=within(0, 1))
    clean_target_prob: float = field(metadata=within(0, 1))


@dataclass
class Forecast:
    gap_min: int = field(metadata=within(0))
    gap_max: int = field(metadata=within(0))
    gap_distribution: str = field(metadata=one_of("uniform", "log", "decreasing"))
    gap_conditioning: str = field(metadata=one_of("gap", "none", "shuffled"))
    futures: int = field(metadata=within(1, 16))
    weight: float = field(metadata=within(0))
    loss: str = field(metadata=one_of("cosine", "squared_error"))
    projection_dim: int = field(metadata=within(0, 8192))
    hidden_dim: int = field(metadata=within(8, 16384))
    batch_norm: bool
    residual: bool


@dataclass
class Contrast:
    weight: float = field(metadata=within(0))
    loss: str = field(metadata=one_of("infonce", "vicreg", "sigreg"))
    anchor: str = field(metadata=one_of("forecast", "context"))
    temperature: float = field(metadata=within(0.001, 10))
    mask_groups: bool
    queue_size: int = field(metadata=within(0, 65536))
    time_reversed_negatives: bool


@dataclass
class Decorrelation:
    weight: float = field(metadata=within(0))


@dataclass
class Momentum:
    start: float = field(metadata=within(0, 1))
    end: float = field(metadata=within(0, 1))


@dataclass
class Encoder:
    name: str = field(metadata=one_of("small", "r3d_18", "r2plus1d_18", "small_2d", "resnet18", "resnet50"))
    keep: str = field(metadata=one_of("averaged", "online", "ema"))
    start: str = field(metadata=one_of("shipped", "random"))


@dataclass
class Pretrain:
    streams: str = field(metadata=one_of("motion", "both"))
    epochs: int = field(metadata=within(1))
    min_steps: int = field(metadata=within(0))
    batch_size: int = field(metadata=within(MIN_BATCH))
    lr: float = field(metadata=within(1e-8, 10))
    weight_decay: float = field(metadata=within(0, 1))
    warmup: float = field(metadata=within(0, 1))
    schedule: str = field(metadata=one_of("cosine", "constant"))
    knn_every: int = field(metadata=within(0))


@dataclass
class Embed:
    clips: int = field(metadata=within(1, 1000))
    grid: int = field(metadata=within(0, 8))
    spread: float = field(metadata=within(0, 1))
    standardise: bool


@dataclass
class Supervised:
    epochs: int = field(metadata=within(0))
    few_draws: int = field(metadata=within(0, 10))


@dataclass
class Scores:
    folds: int = field(metadata=within(0, 100))


@dataclass
class Linear:
    holdout: float = field(metadata=within(0.05, 0.5))


@dataclass
class Knn:
    k: int = field(metadata=within(1))
    temperature: float = field(metadata=within(0.001, 10))
    index: str = field(metadata=one_of("exact", "faiss"))


@dataclass
class Temporal:
    bins: int = field(metadata=within(1, 100))


@dataclass
class Report:
    queries: str  # checked by `report.queries`, because it may name classes


@dataclass
class Runtime:
    device: str
    workers: int = field(metadata=within(-1, 1024))
    precision: str = field(metadata=one_of("auto", "fp32", "bf16"))
    backend: str = field(metadata=one_of("loky", "dask"))
    decode_timeout: float = field(metadata=within(1, 86400))
    compile: bool
    launcher: str
    checkpoint: float = field(metadata=within(0, 86400))
    cache: float = field(metadata=within(0))


@dataclass
class Params:
    seed: int = field(metadata=within(0, 2**31 - 1))
    data: Data
    demo: Demo
    frames: Frames
    clip: Clip
    augment: Augment
    forecast: Forecast
    contrast: Contrast
    decorrelation: Decorrelation
    momentum: Momentum
    encoder: Encoder
    pretrain: Pretrain
    embed: Embed
    supervised: Supervised
    scores: Scores
    linear: Linear
    knn: Knn
    temporal: Temporal
    report: Report
    runtime: Runtime


def load_params(path: str | Path = PARAMS_FILE) -> Params:
    """Read a parameter file and check all of it.

    Args:
        path: a YAML file of scalars and maps. The default is `params.yaml` in the working directory.

    Returns:
        The parameters. Every value has its declared type and lies within its range.

    Raises:
        UserError: the file is missing, is not valid YAML, or holds a wrong key or value. The message names the file
            and the key, and says what to do.
    """
    path = Path(path)
    try:
        loaded = OmegaConf.load(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file: run this from the project's top folder") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(loaded, DictConfig):
        raise UserError(f"{path}: must be a map of sections: compare it with the version in git")
    return check_params(loaded, path)


def check_params(loaded: DictConfig, path: Path) -> Params:
    """Check parameters and convert them to `Params`.

    Args:
        loaded: the content of a parameter file, which need not be written yet.
        path: the file that the error messages name.

    Raises:
        UserError: a key or value is wrong, as for `load_params`.
    """
    _check_keys(loaded, Params, path, prefix="")
    try:
        params = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Params), loaded))
    except OmegaConfBaseException as error:
        first_line = str(error).splitlines()[0]
        raise UserError(f"{path}: {error.full_key}: {first_line}") from None
    assert isinstance(params, Params)
    _check_values(params, path, prefix="")
    _check_combinations(params, path)
    return params


def _check_keys(loaded: DictConfig, schema: Any, path: Path, prefix: str) -> None:
    known = {f.name: f for f in fields(schema)}
    for key, value in loaded.items_ex(resolve=False):
        if new_name := RENAMED.get(f"{prefix}{key!s}"):
            raise UserError(f"{path}: '{prefix}{key!s}' was renamed: use {new_name}")
        if key not in known:
            raise UserError(
                f"{path}: unknown key '{prefix}{key!s}'{_did_you_mean(str(key), _all_keys(Params), prefix)}"
            )
        section = known[key].type
        if is_dataclass(section):
            if not isinstance(value, DictConfig):
                raise UserError(f"{path}: '{prefix}{key!s}' must be a section of keys, not {value!r}")
            _check_keys(value, section, path, f"{prefix}{key!s}.")
    for name in known:
        if name not in loaded:
            raise UserError(f"{path}: missing key '{prefix}{name}': add it, or restore the file from git")


def _all_keys(schema: Any, prefix: str = "") -> list[str]:
    """Names of all sections and keys, such as `forecast` and `forecast.gap_max`."""
    keys = []
    for f in fields(schema):
        keys.append(prefix + f.name)
        if is_dataclass(f.type):
            keys += _all_keys(f.type, f"{prefix}{f.name}.")
    return keys


def _did_you_mean(word: str, known: list[str], prefix: str) -> str:
    close = difflib.get_close_matches(prefix + word, known, n=1, cutoff=0.6)
    return f" - did you mean '{close[0]}'?" if close else f": the known keys are {', '.join(known)}"


def _check_values(section: Any, path: Path, prefix: str) -> None:
    for f in fields(section):
        key, value = prefix + f.name, getattr(section, f.name)
        if is_dataclass(value):
            _check_values(value, path, f"{key}.")
        if "range" in f.metadata:
            low, high = f.metadata["range"]
            if not low <= value <= high:  # true for nan as well
                wanted = f"at least {low}" if high == math.inf else f"from {low} to {high}"
                raise UserError(f"{path}: {key} is {value}, but must be {wanted}")
        if "choices" in f.metadata and value not in f.metadata["choices"]:
            names = [str(choice) for choice in f.metadata["choices"]]
            close = difflib.get_close_matches(str(value), names, n=1)
            hint = f" - did you mean '{close[0]}'?" if close else ""
            if str(value) in names:
                hint = ": write the number without quotes"
            raise UserError(f"{path}: {key} is '{value}', but must be one of {', '.join(names)}{hint}")


def _check_combinations(p: Params, path: Path) -> None:
    if not p.data.path or p.data.path.startswith("~"):
        raise UserError(f"{path}: data.path is '{p.data.path}': write the full path (only a shell knows ~)")
    if p.forecast.gap_max < p.forecast.gap_min:
        raise UserError(
            f"{path}: forecast.gap_max is {p.forecast.gap_max}, below forecast.gap_min {p.forecast.gap_min}: "
            "raise gap_max or lower gap_min"
        )
    if p.momentum.end < p.momentum.start:
        raise UserError(
            f"{path}: momentum.end is {p.momentum.end}, below momentum.start {p.momentum.start}: "
            "momentum rises during the run, so raise end or lower start"
        )
    if p.clip.size > p.frames.short_side:
        raise UserError(
            f"{path}: clip.size is {p.clip.size}, above frames.short_side {p.frames.short_side}: "
            "raise short_side or lower size"
        )
    if p.encoder.start == "shipped" and (p.encoder.name != "small" or p.clip.input == "both"):
        raise UserError(
            f"{path}: encoder.start is shipped, but the package has no weights of {p.encoder.name} for clip.input "
            f"{p.clip.input}: use encoder.start random, or encoder.name small with residual, rgb or two_stream"
        )
    if p.encoder.keep == "averaged" and p.encoder.start == "random":
        raise UserError(
            f"{path}: encoder.keep is averaged, with the shipped weights, but encoder.start is random: "
            "use encoder.keep online or ema, or encoder.start shipped"
        )
    if p.clip.input == "two_stream" and p.encoder.start == "random" and p.pretrain.streams == "motion":
        raise UserError(
            f"{path}: encoder.start is random and pretrain.streams motion, so the appearance stream would stay random: "
            "use pretrain.streams both, or encoder.start shipped"
        )
    if p.forecast.weight == 0 and p.contrast.weight == 0:
        raise UserError(
            f"{path}: forecast.weight and contrast.weight are both 0: the encoder would learn nothing, so raise one"
        )
