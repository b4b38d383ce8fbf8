"""The report's table of the paper's measures: its own values beside those of this run and of random weights."""

from collections.abc import Mapping

from mofore.report.markup import Cell, Table, score_cell
from mofore.report.results import PaperResults

MEASURES = {  # name in the table, description, digits
    "forecasting_error": (
        "forecasting error",
        "squared difference of forecast and target, per dimension, neither of them normalised",
        4,
    ),
    "forecasting_error_relative": (
        "forecasting error, relative",
        "divided by the variance of the targets; 1: as good as always forecasting their mean",
        3,
    ),
    "same_video": ("same video", "two embeddings of one video, each the mean of every second clip", 4),
    "temporal_consistency": ("temporal consistency", "neighbouring clips of a video", 4),
    "same_class": ("same class", "two videos of one class, of different groups", 4),
    "different_class": ("different class", "two videos of two classes", 4),
    "effective_rank": ("effective rank", "directions that the clip embeddings use; 1: collapsed", 1),
    "spread": ("spread", "0: collapsed, 1: healthy", 2),
}


def paper_table(paper: PaperResults) -> Table:
    """The measures as rows. Columns that this run has no value for, such as the paper's own, are left out."""
    columns: dict[str, Mapping[str, float]] = {
        "the paper,\none example": paper.published,
        "MoFore": paper.rows["mofore"],
        "random\nweights": paper.rows["random_init"],
        "the paper's videos,\nMoFore": paper.examples.get("mofore", {}),
        "the paper's videos,\nrandom weights": paper.examples.get("random_init", {}),
    }
    shown = {head: values for head, values in columns.items() if values}
    rows = [
        [Cell(words, small=description), *(score_cell(values, name, digits) for values in shown.values())]
        for name, (words, description, digits) in MEASURES.items()
    ]
    caption = (
        "Of all held-out videos (of all videos if none is held out); below each the 95 % interval over groups. "
        "Similarities: cosines, no mean subtracted. Errors grow with the scale of the targets, relative ones do not. "
        "With forecast.loss cosine only the direction of a forecast is trained, so both may be large: see skill."
    )
    return Table(caption, ["measure", *shown], rows, "numbers")


def collapse_reminder(paper: PaperResults) -> str:
    """Why high similarities prove nothing by themselves, with this run's numbers."""
    mofore, random = paper.rows["mofore"], paper.rows["random_init"]
    similarity = ""
    if "same_video" in mofore:
        similarity = f"same-video similarity {mofore['same_video']:.4f}, of random weights {random['same_video']:.4f}; "
    return (
        "Similarities near 1 are also what a collapsed encoder has, so they count only beside those of random weights "
        f"and beside the effective rank: {similarity}effective rank {mofore['effective_rank']:.1f}, of random weights "
        f"{random['effective_rank']:.1f}."
    )
