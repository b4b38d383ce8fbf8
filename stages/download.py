"""the videos of `data.source` -> data/raw: find or make them, and list them with their hashes in files.csv."""

from mofore.config import load_params
from mofore.errors import run_stage
from mofore.videos.prepare import download


def main() -> None:
    """Read params.yaml, write data/raw, and print a summary."""
    print(download(load_params()))


if __name__ == "__main__":
    run_stage(main)
