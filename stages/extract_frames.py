"""Stage extract_frames: decode the videos of data/raw/files.csv into the packed frames of data/frames/packs."""

from mofore.config import load_params
from mofore.errors import run_stage
from mofore.frames.extract import extract_frames


def main() -> None:
    """Read params.yaml and data/raw/files.csv, write data/frames/packs, and print a summary."""
    print(extract_frames(load_params()))


if __name__ == "__main__":
    run_stage(main)
