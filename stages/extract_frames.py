"""data/raw -> data/frames/packs: decode every video once into packs of small JPEG frames."""

from mofore.config import load_params
from mofore.errors import run_stage
from mofore.frames.extract import extract_frames


def main() -> None:
    """Read params.yaml and data/raw/files.csv, write data/frames/packs, and print a summary."""
    print(extract_frames(load_params()))


if __name__ == "__main__":
    run_stage(main)
