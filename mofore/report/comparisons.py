"""Compare MoFore with its controls, and with the encoder that training started from.

A lead is MoFore's score minus that of another row on the same videos; `mofore.report.decide` has the rule by which it
is clear.
"""

from dataclasses import dataclass

from mofore.report.decide import Answer, decide
from mofore.report.results import Results

MAIN_SCORES = {  # by file of results/: key of the score, and its name in the report
    "linear": ("top1", "linear top-1"),
    "knn": ("r_at_1", "retrieval R@1"),
}
IF_NOT_BEATEN = {  # the controls; the conclusion if one scores as well as MoFore
    "random_init": "training has added nothing that this score sees",
    "mofore_shuffled": "the order of frames is not used",
    "mofore_still": "motion is not used",
    "metadata": "frame size, length and frame rate alone reveal the class",
    "appearance": "the appearance of a video alone reveals its class",
    "motion": "simple measures of motion do the same without learning",
    "motion_appearance": "simple measures of motion and the mean frame do the same without learning",
}
WITHOUT_MOTION = {  # controls that see no motion, or not its order
    "mofore_shuffled": "from shuffled frames",
    "mofore_still": "from a still frame",
    "appearance": "by look alone",
}


@dataclass(frozen=True)
class Comparison:
    """MoFore against another row in one score.

    Attributes:
        row: the other row, a key of ROW_NAMES.
        measure: name of the score in the report.
        mofore, control: the two scores, 0 to 1.
        lead, low, high: MoFore's lead and its 95 % interval, -1 to 1.
    """

    row: str
    measure: str
    mofore: float
    control: float
    lead: float
    low: float
    high: float

    @property
    def answer(self) -> Answer:
        """Whether MoFore is better."""
        return decide(self.low, self.high)

    def points(self) -> str:
        """The lead and its interval in percentage points, such as `+0.3 points (-1.9 to +2.6)`."""
        lead, low, high = (f"{100 * value:+.1f}" for value in (self.lead, self.low, self.high))
        return f"{lead} points ({low} to {high})"

    def __str__(self) -> str:
        return f"{self.measure} {self.control:.1%} against MoFore's {self.mofore:.1%}, a lead of {self.points()}"


def with_controls(results: Results) -> list[Comparison]:
    """Compare MoFore with every control in every main score. Empty if there are no labels to score with.

    Controls with the same embedding for all videos are left out, because they cannot win. Stills are an example if the
    input is frame differences.
    """
    return [found for row in IF_NOT_BEATEN for found in _with_row(results, row)]


def with_shipped(results: Results) -> list[Comparison]:
    """Compare MoFore with the shipped encoder, untouched; empty without labels, or if training started at random."""
    return _with_row(results, "shipped")


def _with_row(results: Results, row: str) -> list[Comparison]:
    found = []
    for file, (score, measure) in MAIN_SCORES.items():
        scores = getattr(results, file)
        if scores.get(row) and not scores[row].get("constant"):
            other = scores[row]
            lead = other["lead"], other["lead_low"], other["lead_high"]
            found.append(Comparison(row, measure, scores["mofore"][score], other[score], *lead))
    return found
