"""Compare the exported encoder with the package on real frames, and its speed with PyTorch's.

    python benchmarks/export.py FOLDER [--videos 40] [--threads 1] [--encoder shipped]

The first clip of some videos of FOLDER is embedded by the package (OpenCV resizes, PyTorch embeds) and by the exported
ONNX file through onnxruntime: from the whole frames, and from frames that OpenCV has shrunk before. Beside that stands
what storing the frames as JPEG changes, as the pipeline does. Then both are timed on frames that are already small, the
package with its resizing. The last line of the output is JSON.

Shapes: B clips, T frames, H height, W width, C=3 colours, D feature dimensions, N videos.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime
import torch

from mofore.clips.augment import eval_crop, to_input
from mofore.clips.sampling import clip_offsets, clip_span
from mofore.collection.encoder import LoadedEncoder, open_encoder
from mofore.collection.export import NETWORK_FILES, ONNX, export
from mofore.frames.decode import stored_size
from mofore.frames.shrink import resize
from mofore.videos.folder import find_files

Frames = list[npt.NDArray[np.uint8]]  # [T, H, W, C], RGB
FloatArray = npt.NDArray[np.float32]
QUALITY = 90  # of JPEG, as frames.jpeg_quality
BATCH, ROUNDS = 8, 15


def read_clip(file: Path, encoder: LoadedEncoder) -> Frames | None:
    """The first clip of a video; None if it is shorter."""
    video = cv2.VideoCapture(str(file))
    frames = [frame for found, frame in (video.read() for _ in range(clip_span(encoder.clip))) if found]
    if len(frames) < clip_span(encoder.clip):
        return None
    return [np.asarray(cv2.cvtColor(frames[t], cv2.COLOR_BGR2RGB), np.uint8) for t in clip_offsets(encoder.clip)]


def shrunk(frames: Frames, encoder: LoadedEncoder) -> Frames:
    """Frames as the decoder stores them."""
    size = stored_size(frames[0], 1.0, encoder.short_side)
    return [np.asarray(resize(frame, size), np.uint8) for frame in frames]


def as_jpeg(frames: Frames) -> Frames:
    """Frames after JPEG."""
    coded = [cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1] for frame in frames]
    return [np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR_RGB), np.uint8) for jpeg in coded]


def by_package(encoder: LoadedEncoder, clips: list[Frames]) -> FloatArray:
    """Embeddings [B, D] of clips of small frames."""
    frames_BTHWC = torch.from_numpy(np.stack([eval_crop(clip, encoder.clip) for clip in clips]))
    with torch.inference_mode():
        return encoder.network(to_input(frames_BTHWC, encoder.clip.input)).numpy()


def agreement(x_ND: FloatArray, y_ND: FloatArray, streams: dict[str, list[int]]) -> dict[str, Any]:
    """Cosine by stream, median and smallest, and the largest difference of a number."""
    found: dict[str, Any] = {"max_abs": round(float(np.abs(x_ND - y_ND).max()), 3)}
    for name, (first, end) in streams.items():
        x, y = x_ND[:, first:end], y_ND[:, first:end]
        cosine_N = (x * y).sum(axis=1) / (np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1))
        found[name] = [round(float(value), 5) for value in (np.median(cosine_N), cosine_N.min())]
    return found


def seconds_of(works: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Seconds of CPU time of the fastest of ROUNDS calls of each, called in turn, so that other load hits all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            begin = time.process_time()
            work()
            seconds[name].append(time.process_time() - begin)
    return {name: min(found) for name, found in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--videos", type=int, default=40)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--encoder", default="shipped")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(arguments.threads)
    encoder = open_encoder(arguments.encoder)
    with tempfile.TemporaryDirectory() as folder:
        export(arguments.encoder, Path(folder) / "out", (ONNX,))
        config = json.loads((Path(folder) / "out/config.json").read_text())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = arguments.threads
        file = Path(folder) / "out" / NETWORK_FILES[ONNX]
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])

    def by_onnx(clips: list[Frames]) -> FloatArray:
        found: FloatArray = session.run(None, {"frames": np.stack(clips)})[0]
        return found

    files = find_files(arguments.folder)
    chosen = np.random.default_rng(0).permutation(len(files))[: arguments.videos]
    read = [read_clip(arguments.folder / files[number], encoder) for number in sorted(chosen)]
    clips = [clip for clip in read if clip is not None]
    small = [shrunk(clip, encoder) for clip in clips]
    package_ND = np.concatenate([by_package(encoder, [clip]) for clip in small])
    jpeg_ND = np.concatenate([by_package(encoder, [as_jpeg(clip)]) for clip in small])
    whole_ND, small_ND = (np.concatenate([by_onnx([clip]) for clip in given]) for given in (clips, small))
    streams = config["output"].get("streams", {"all": [0, encoder.network.dim]})
    batch, large = [small[0]] * BATCH, [clips[0]] * BATCH
    seconds = seconds_of(
        {
            "onnx, small frames": lambda: by_onnx(batch),
            "package, small frames": lambda: by_package(encoder, batch),
            "onnx, whole frames": lambda: by_onnx(large),
            "package, whole frames": lambda: by_package(encoder, [shrunk(clip, encoder) for clip in large]),
        }
    )
    result = {
        "videos": len(clips),
        "small_frames": agreement(small_ND, package_ND, streams),
        "whole_frames": agreement(whole_ND, package_ND, streams),
        "jpeg_in_the_package": agreement(jpeg_ND, package_ND, streams),
        "size": list(clips[0][0].shape[:2]),
        "threads": arguments.threads,
        "clips_per_cpu_second": {name: round(BATCH / found, 1) for name, found in seconds.items()},
        "onnx_over_package": {
            size: round(seconds[f"package, {size}"] / seconds[f"onnx, {size}"], 2)
            for size in ("small frames", "whole frames")
        },
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
