"""results + data/frames + data/embeddings -> results/report.html: one page with all results of a run."""

from pathlib import Path

from mofore.config import load_params
from mofore.errors import run_stage
from mofore.frames.store import FrameStore
from mofore.report.headline import headline_metrics, score_table
from mofore.report.page import write_report
from mofore.report.results import read_results
from mofore.report.training_gain import training_gain
from mofore.report.warnings import cautions
from mofore.utils.files import write_csv, write_json
from mofore.utils.text import counted, some_names


def main() -> None:
    params = load_params()
    page = Path("results/report.html")
    results = read_results()
    write_json(Path("results/metrics.json"), headline_metrics(results))
    write_csv(Path("results/scores.csv"), score_table(results))
    write_report(page, results, params, FrameStore(Path("data/frames")))
    found = [caution.what for caution in cautions(results)]
    print(f"report: {page}, {page.stat().st_size / 1e6:.1f} MB, {counted(len(found), 'warning')}")
    if gain := training_gain(results):
        print(f"report: {gain}")
    if found:
        print(f"report: warnings: {some_names(found, most=10)}")


if __name__ == "__main__":
    run_stage(main)
