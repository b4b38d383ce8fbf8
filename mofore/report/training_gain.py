"""Say what training on one's own videos has made of the shipped encoder that it started from.

The shipped encoder is there without any training. So if training has not clearly made it better, the advice is to use
it as it is.
"""

from dataclasses import dataclass

from mofore.report.comparisons import Comparison, with_shipped
from mofore.report.decide import Answer
from mofore.report.results import Results

USE_SHIPPED = "the shipped encoder as it is (mofore embed PATH --encoder shipped)"


@dataclass(frozen=True)
class Gain:
    """What training has added to the shipped encoder.

    Attributes:
        scores: comparisons with the shipped encoder, one for each main score; at least one.
    """

    scores: list[Comparison]

    @property
    def harm(self) -> bool:
        """Whether training has clearly made the encoder worse in any score."""
        return "no" in self._answers

    @property
    def what(self) -> str:
        """The finding, as a clause."""
        better = "yes" in self._answers
        if self.harm:
            return f"Training on these videos has harmed the shipped encoder{' in one score' if better else ''}"
        if better:
            return "Training on these videos has clearly improved the shipped encoder"
        return "Training on these videos adds nothing beyond doubt to the shipped encoder"

    @property
    def by_how_much(self) -> str:
        """The change of each score, with its 95 % interval."""
        words = {"yes": "better", "no": "worse", "not clear": "not clear"}
        return "; ".join(
            f"{c.measure} from {c.control:.1%} to {c.mofore:.1%}, {c.points()}, {words[c.answer]}" for c in self.scores
        )

    @property
    def advice(self) -> str:
        """What to do, as a sentence; empty if training was worth it in every score that is decided."""
        if self.harm:
            worse = " and ".join(c.measure for c in self.scores if c.answer == "no")
            return f"{f'Where {worse} counts, use' if 'yes' in self._answers else 'Use'} {USE_SHIPPED}."
        if "yes" in self._answers:
            return ""
        return f"Without more videos to train on, you may as well use {USE_SHIPPED}."

    def __str__(self) -> str:
        return f"{self.what}: {self.by_how_much}. {self.advice}".strip()

    @property
    def _answers(self) -> set[Answer]:
        return {c.answer for c in self.scores}


def training_gain(results: Results) -> Gain | None:
    """What training has added; None without labels, or if training started with random weights."""
    scores = with_shipped(results)
    return Gain(scores) if scores else None
