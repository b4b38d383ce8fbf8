"""Control features: metadata, mean frame and motion of each video, without a trained encoder.

An encoder's score is compared with the scores of these features:

- metadata: frame size, length and frame rate; no pixels;
- appearance: the mean frame; no motion;
- motion: histograms of optical flow and of frame differences; nothing learned (see motion.py);
- motion_appearance: the last two side by side.

Features are standardised with the mean and standard deviation of the training videos. Otherwise the units would decide
which videos are neighbours. The distances between frames are fixed, not those of section `clip`, so that the controls
are the same for all encoders.

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

PAIRS = 16  # pairs of frames in each video, uniformly spaced
PAIR_DISTANCE = 2  # video frames from the first frame of a pair to the second
MOTION_SHORT_SIDE = 32  # pixels; motion is measured in frames whose short side is at most this long
MEAN_SIDE = 16  # pixels; height and width of the mean frame


def metadata_features(table: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Aspect ratio, and log(1 + x) of width, height, number of frames, fps and seconds: [V, 6].

    Args:
        table: rows of `data/frames/videos.csv`. An unknown fps is 0, and then seconds are 0, too.
    """
    frames, fps = table.frames.to_numpy(np.float64), table.fps.to_numpy(np.float64)
    seconds = np.divide(frames, fps, out=np.zeros(len(table)), where=fps > 0)
    logs_V5 = np.log1p(np.column_stack([table.width, table.height, frames, fps, seconds]))
    return np.column_stack([table.width / table.height, logs_V5])


def pixel_features(videos: FrameStore, workers: int) -> tuple[FloatArray, FloatArray]:
    """Appearance [V, 768] and motion [V, 738] features of all videos, not standardised.

    Args:
        videos: the videos, in the order of the rows.
        workers: number of worker processes, which does not change the result; 0: work in this process.

    Raises:
        UserError: a pack of frames is damaged.
    """
    jobs = (delayed(_video_features)(videos.reader, video, n) for video, n in enumerate(videos.table.frames.tolist()))
    appearance, motion = zip(*progress(in_processes(jobs, workers), len(videos), "controls", "video"), strict=True)
    return np.stack(appearance), np.stack(motion)


def mean_frame(frames_NHWC: FramesArray) -> FloatArray:
    """The mean of frames, resized to MEAN_SIDE x MEAN_SIDE pixels: [768], values 0 to 255."""
    mean_HWC = frames_NHWC.mean(axis=0, dtype=np.float32)
    return cv2.resize(mean_HWC, (MEAN_SIDE, MEAN_SIDE), interpolation=cv2.INTER_AREA).reshape(-1)


def _video_features(reader: FrameReader, video: int, n_frames: int) -> tuple[FloatArray, FloatArray]:
    """Appearance and motion features of one video, each [D]."""
    cv2.setNumThreads(1)  # the worker processes already use all cores
    distance = min(PAIR_DISTANCE, n_frames - 1)
    first_T = np.linspace(0, n_frames - 1 - distance, PAIRS).round().astype(np.int64)
    frame_N, position_2T = np.unique(np.stack([first_T, first_T + distance]), return_inverse=True)
    frames_NHWC = reader.read(video, frame_N)
    gray_NHW = np.stack([_small_gray(frame_HWC) for frame_HWC in frames_NHWC])
    before_T, after_T = position_2T.reshape(2, -1)
    return mean_frame(frames_NHWC), motion_features(gray_NHW[before_T], gray_NHW[after_T])


def _small_gray(frame_HWC: FramesArray) -> FramesArray:
    """The frame in gray [H, W], with a short side of at most MOTION_SHORT_SIDE pixels."""
    height, width, _ = frame_HWC.shape
    scale = min(1.0, MOTION_SHORT_SIDE / min(height, width))
    gray_HW = cv2.cvtColor(frame_HWC, cv2.COLOR_RGB2GRAY)
    size = round(width * scale), round(height * scale)
    return np.asarray(cv2.resize(gray_HW, size, interpolation=cv2.INTER_AREA), np.uint8)
