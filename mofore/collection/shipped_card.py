"""Write the model card that stands beside the shipped weights: `python -m mofore.collection.shipped_card`.

It is the card of an export without what is said of exported files.
"""

from mofore.collection.encoder import SHIPPED_FOLDER, open_encoder
from mofore.collection.export import describe
from mofore.collection.model_card import model_card

CARD = SHIPPED_FOLDER / "README.md"


def shipped_card() -> str:
    """The text of the card: Markdown after YAML that the Hugging Face hub reads."""
    encoder = open_encoder()
    return model_card(encoder, describe(encoder), shipped=True, cosines={}, license="mit")


if __name__ == "__main__":
    CARD.write_text(shipped_card(), "utf-8")
    print(f"shipped_card: {CARD}")
