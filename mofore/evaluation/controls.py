"""Controls: what is known of a video without a representation of it. Every score stands beside theirs.

- metadata: frame size, length and frame rate; no pixels;
- appearance: the mean frame; no motion;
- motion: histograms of optical flow and of frame differences; nothing learned (see motion.py);
- motion_appearance: the last two side by side.

Features are standardised with the mean and the standard deviation of the training videos, so that no unit decides which
videos are near to one another. What is the same in all training videos becomes 0. Frames are taken at fixed distances,
not at those of `clip`: a control is the same, whatever encoder it stands beside.

Shapes: V videos, D features, N frames, T pairs of frames, H height, W width, C = 3 colours.
"""

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
from joblib import delayed

from mofore.evaluation.motion import FloatArray, motion_features
from mofore.frames.store import FrameReader, FramesArray, FrameStore
from mofore.utils.progress import progress
from mofore.utils.workers import in_processes

PAIRS = 16  # of frames, uniformly spaced over the video
APART = 2  # video frames from the first to the second of a pair
SHORT_SIDE = 32  # pixels, at most, of the frames in which motion is measured
MEAN_SIDE = 16  # pixels of the mean frame


def metadata_features(table: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Aspect, and the logarithms of 1 + width, height, frames, fps and seconds: [V, 6].

    Args:
        table: rows of `data/frames/videos.csv`. An unknown fps is 0; then seconds are 0, too.
    """
    frames, fps = table.frames.to_numpy(np.float64), table.fps.to_numpy(np.float64)
    seconds = np.divide(frames, fps, out=np.zeros(len(table)), where=fps > 0)
    logs_V5 = np.log1p(np.column_stack([table.width, table.height, frames, fps, seconds]))
    return np.column_stack([table.width / table.height, logs_V5])


def pixel_features(videos: FrameStore, workers: int) -> tuple[FloatArray, FloatArray]:
    """Appearance [V, D] and motion [V, D] of all videos; the same for any number of workers."""
    jobs = (delayed(_video_features)(videos.reader, video, n) for video, n in enumerate(videos.table.frames.tolist()))
    appearance, motion = zip(*progress(in_processes(jobs, workers), len(videos), "controls", "video"), strict=True)
    return np.stack(appearance), np.stack(motion)


def mean_frame(frames_NHWC: FramesArray) -> FloatArray:
    """The mean of some frames, shrunk to MEAN_SIDE x MEAN_SIDE pixels, 0 to 255, as one row: [D]."""
    mean_HWC = frames_NHWC.mean(axis=0, dtype=np.float32)
    return cv2.resize(mean_HWC, (MEAN_SIDE, MEAN_SIDE), interpolation=cv2.INTER_AREA).reshape(-1)


def standardise(x_VD: npt.NDArray[np.floating], train_V: npt.NDArray[np.bool_]) -> FloatArray:
    """Features with mean 0 and standard deviation 1 over the training videos; over all, if none is for training.

    A feature without spread there becomes 0 for all videos: nothing tells how far from the others a new value is.
    """
    known_VD = (x_VD[train_V] if train_V.any() else x_VD).astype(np.float64)
    spread_D = known_VD.std(axis=0)
    spread_D[spread_D < 1e-9] = np.inf
    return ((x_VD - known_VD.mean(axis=0)) / spread_D).astype(np.float32)


def _video_features(reader: FrameReader, video: int, n_frames: int) -> tuple[FloatArray, FloatArray]:
    cv2.setNumThreads(1)  # the processes share the cores
    apart = min(APART, n_frames - 1)
    first_T = np.linspace(0, n_frames - 1 - apart, PAIRS).round().astype(np.int64)
    wanted_N, place_2T = np.unique(np.stack([first_T, first_T + apart]), return_inverse=True)
    frames_NHWC = reader.read(video, wanted_N)
    gray_NHW = np.stack([_small_gray(frame_HWC) for frame_HWC in frames_NHWC])
    before_T, after_T = place_2T.reshape(2, -1)
    return mean_frame(frames_NHWC), motion_features(gray_NHW[before_T], gray_NHW[after_T])


def _small_gray(frame_HWC: FramesArray) -> FramesArray:
    height, width, _ = frame_HWC.shape
    scale = min(1.0, SHORT_SIDE / min(height, width))
    gray_HW = cv2.cvtColor(frame_HWC, cv2.COLOR_RGB2GRAY)
    size = round(width * scale), round(height * scale)
    return np.asarray(cv2.resize(gray_HW, size, interpolation=cv2.INTER_AREA), np.uint8)
