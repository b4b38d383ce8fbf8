"""Stage download: find the videos of `data.source` and list them in data/raw/files.csv."""

from mofore.config import load_params
from mofore.errors import run_stage
from mofore.videos.prepare import download


def main() -> None:
    """Read params.yaml, write data/raw, and print a summary."""
    print(download(load_params()))


if __name__ == "__main__":
    run_stage(main)
