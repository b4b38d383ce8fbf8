"""The parameters with which the shipped encoder was trained. They stay as they are when params.yaml changes."""

from dataclasses import replace

from mofore.config import Augment, Clip, Contrast, Decorrelation, Encoder, Forecast, Momentum, Params, Pretrain

SEED = 202  # of the videos and of the weights; apart from those of the demo
BATCH_SIZE = 64


def stream_params(params: Params, kind: str) -> Params:
    """All parameters of the training of one stream, from random weights.

    Programs of a family are negatives of each other. The predictor gives the forecast itself, and InfoNCE compares it
    with the future.

    Args:
        params: only section `runtime` of it matters, and sections that no training on generated videos reads.
        kind: input of the stream, "residual" or "rgb".
    """
    return replace(
        params,
        seed=SEED,
        clip=Clip(frames=8, stride=3, size=56, crop="none", input=kind),
        augment=Augment(crop_min=0.4, flip=0.5, jitter=0.6, grayscale=0.6, clean_target_prob=0.5),
        forecast=Forecast(
            gap_min=0,  # of the gaps only the distribution counts, see `GeneratedPairs`
            gap_max=48,
            gap_distribution="uniform",
            gap_conditioning="gap",
            futures=1,
            weight=10.0,
            loss="cosine",
            projection_dim=128,
            hidden_dim=512,
            batch_norm=True,
            residual=False,
        ),
        contrast=Contrast(
            weight=3.0,
            loss="infonce",
            anchor="forecast",
            temperature=0.1,
            mask_groups=False,
            queue_size=0,
            time_reversed_negatives=True,
        ),
        decorrelation=Decorrelation(weight=0.1),
        momentum=Momentum(start=0.9, end=1.0),
        encoder=Encoder(name="small", start="random", keep="online"),
        pretrain=Pretrain(
            streams="motion",  # of two; here there is one
            epochs=1,  # and how many steps, says the command
            min_steps=0,
            batch_size=BATCH_SIZE,
            lr=1e-3,
            weight_decay=0.05,
            warmup=0.05,
            schedule="cosine",
            knn_every=0,
        ),
    )
