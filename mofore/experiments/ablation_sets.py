"""The ablations: which parameters each one changes, in two sets, of our default and of the paper's configuration."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

Values = dict[str, Any]  # flat parameter names and their values, e.g. {"forecast.gap_max": 64}
Sections = dict[str, dict[str, Values]]  # section: {name: values}; {} stands for the values of the set's default


@dataclass(frozen=True)
class AblationSet:
    """Ablations of one configuration.

    Attributes:
        preset: the configuration: a preset whose values replace those of params.yaml, apart from sections `data`,
            `demo`, `frames` and `runtime`; empty for params.yaml as it is.
        budget: applied to all runs, also to the default: they train for less time than the configuration says.
        sections: the ablations.
        folder: where table and figure are written.
    """

    preset: str
    budget: Values
    sections: Sections
    folder: Path


BUDGET: Values = {
    "pretrain.epochs": 12,
    "pretrain.min_steps": 0,
    "pretrain.knn_every": 0,
    "embed.clips": 4,
    "scores.folds": 0,
}

GAPS: dict[str, Values] = {
    "randomised, 0 to 48": {"forecast.gap_min": 0, "forecast.gap_max": 48},
    "always 0": {"forecast.gap_min": 0, "forecast.gap_max": 0},
    "always 8": {"forecast.gap_min": 8, "forecast.gap_max": 8},
    "always 32": {"forecast.gap_min": 32, "forecast.gap_max": 32},
}

ABLATIONS: Sections = {
    "losses": {
        "both": {},
        "forecasting only": {"contrast.weight": 0},
        "contrast only": {"forecast.weight": 0},
        "both, forecasting with weight 1": {"forecast.weight": 1},
    },
    "infonce compares with the future": {
        "the context": {"contrast.anchor": "context"},
        "the forecast": {"contrast.anchor": "forecast"},
    },
    "gap, in video frames": GAPS,
    "gap distribution": {name: {"forecast.gap_distribution": name} for name in ("uniform", "log", "decreasing")},
    "gap conditioning": {name: {"forecast.gap_conditioning": name} for name in ("gap", "none", "shuffled")},
    "the predictor gives": {
        "the change": {"forecast.residual": True},
        "the forecast": {"forecast.residual": False},
    },
    "input": {
        "two streams": {"clip.input": "two_stream"},
        "residual": {"clip.input": "residual"},
        "rgb": {"clip.input": "rgb"},
        "both in one network": {"clip.input": "both", "encoder.start": "random", "encoder.keep": "online"},
    },
    "start": {
        "shipped": {"encoder.start": "shipped", "pretrain.streams": "motion"},
        "shipped, both streams trained": {"encoder.start": "shipped", "pretrain.streams": "both"},
        "random": {"encoder.start": "random", "encoder.keep": "online", "pretrain.streams": "both"},
    },
    "embeddings have": {
        "a grid of 3x3, deviations": {"embed.grid": 3, "embed.spread": 0.7},
        "a grid of 3x3": {"embed.grid": 3, "embed.spread": 0},
        "the whole frame, deviations": {"embed.grid": 0, "embed.spread": 0.7},
        "the whole frame only": {"embed.grid": 0, "embed.spread": 0},
    },
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

PAPER_ABLATIONS: Sections = {  # the claims of the paper
    "losses": {
        "both": {},
        "forecasting only": {"contrast.weight": 0},
        "contrast only": {"forecast.weight": 0},
    },
    "gap, in video frames": GAPS
    | {
        "short, 0 to 8": {"forecast.gap_min": 0, "forecast.gap_max": 8},
        "long, 32 to 96": {"forecast.gap_min": 32, "forecast.gap_max": 96},
    },
    "momentum of the EMA": {
        "always 0.7": {"momentum.start": 0.7, "momentum.end": 0.7},
        "always 0.99": {"momentum.start": 0.99, "momentum.end": 0.99},
        "0.9 to 1": {"momentum.start": 0.9, "momentum.end": 1},
    },
    "gap conditioning": {name: {"forecast.gap_conditioning": name} for name in ("none", "gap")},
    "encoder": {
        "over frames": {"encoder.name": "small_2d"},
        "3-D": {"encoder.name": "small"},
        "3-D, frame differences": {"encoder.name": "small", "clip.input": "residual"},
    },
    "kept encoder": {"teacher": {"encoder.keep": "ema"}, "student": {"encoder.keep": "online"}},
}

SETS = {
    "default": AblationSet("", BUDGET, ABLATIONS, Path("ablations")),
    "paper": AblationSet("paper", BUDGET | {"pretrain.epochs": 8}, PAPER_ABLATIONS, Path("ablations/paper")),
}
