"""Turns the frames of a video, as they are decoded, into embeddings of windows.

Only the frames of one window are in memory, so the length of the video does not matter. While the network works on a
batch of clips in one thread, the next frames are decoded in another. Batches depend on nothing but the video, so its
embeddings do not depend on what else is embedded, or on the number of cores.

Shapes: T frames of a clip, H height, W width, C = 3 colours (RGB).
"""

import math
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np
import torch
from cv2.typing import MatLike

from mofore.clips.augment import eval_crop
from mofore.clips.sampling import clip_offsets, clip_span
from mofore.collection.encoder import LoadedEncoder
from mofore.collection.features import Features, Image, Mean, embed_clips
from mofore.collection.frame_times import check_even, repaired_time
from mofore.collection.windows import RATE, Windows, in_frames, rates

CLIPS_PER_BATCH = 32
JPEG_QUALITY = 80  # of the pictures
MAX_PICTURES = 64  # of which one becomes the picture of the video
MOST = 0.99  # share of a video that is not finished; headers may be wrong


class EnoughError(Exception):
    """The part of the video that is wanted has passed."""


class Window(NamedTuple):
    """A window of a video: its times in seconds, a JPEG of its middle frame, and the first frames of its clips."""

    start_s: float
    end_s: float
    picture: bytes
    clips: list[int]


class Frame(NamedTuple):
    """A frame: squeezed or cut for the network, small for a picture, and its time in seconds."""

    squeezed_HWC: Image
    small: MatLike
    seconds: float


@dataclass
class _State:
    """What is known of the video so far. Each decoder that is tried begins with a new one.

    Attributes:
        windows: where windows and clips lie, in frames.
        rate: frames per second.
        last_frames: those of one window.
        frames: number of frames so far.
        first_stamp: time stamp of the first frame.
        length_s: of the whole video by its header, in seconds; 0 if unknown.
        start: first frame of the next regular window.
        unfinished: windows with clips that are not embedded yet.
        batch: clips that are not embedded yet, by first frame.
        embedded: clips that later windows may need, by first frame.
        asked: first frames of all clips in `batch`, in work, or in `embedded`.
        mean: over all clips.
        pictures: those of every `pictures_step`-th window.
    """

    windows: Windows
    rate: float
    last_frames: deque[Frame]
    length_s: float
    frames: int = 0
    first_stamp: float = 0.0
    start: int = 0
    unfinished: deque[Window] = field(default_factory=deque)
    batch: dict[int, Image] = field(default_factory=dict)
    embedded: dict[int, Features] = field(default_factory=dict)
    asked: set[int] = field(default_factory=set)
    mean: Mean = field(default_factory=Mean)
    pictures: list[bytes] = field(default_factory=list)
    pictures_step: int = 1
    n_windows: int = 0

    @property
    def seconds(self) -> float:
        """Time from the start of the first frame to the end of the last."""
        return self.last_frames[-1].seconds + 1 / self.rate if self.last_frames else 0.0


class WindowSink:
    """Takes the frames of a video and gives the embeddings of its windows; see `frames.decode.FrameSink`.

    Attributes:
        wrong_after: number of frames that are right, if `keep` was called.
    """

    def __init__(
        self,
        encoder: LoadedEncoder,
        device: torch.device,
        window: float,
        step: float,
        begin: Callable[[], None],
        emit: Callable[[list[tuple[Window, Features]]], None],
        part: tuple[float, float] = (0.0, math.inf),
        limit: float = math.inf,
        uneven: bool = False,
    ) -> None:
        """Prepare to take one video.

        Any method may raise `UnevenError`.

        Args:
            encoder: its network is on `device`.
            device: where to embed.
            window, step: in seconds.
            begin: is called when a decoder starts; what was emitted before counts no more.
            emit: is called with successive windows and the means over their clips.
            part: start and end of the part of the video that is wanted, in seconds. After it, `EnoughError` is raised.
            limit: number of frames that are used.
            uneven: whether a sink has raised `UnevenError` for this video before: it is resampled now.
        """
        self.wrong_after: int | None = None
        self._encoder, self._device = encoder, device
        self._window, self._step, self._part, self._limit = window, step, part, limit
        self._begin, self._emit, self._uneven = begin, emit, uneven
        self._offsets_T = clip_offsets(encoder.clip)
        self._thread = ThreadPoolExecutor(1)
        self._running: Future[dict[int, Features]] | None = None
        self._state = self._new(RATE, 0)

    def _new(self, fps: float, header_frames: int) -> _State:
        _, rate = self._rates(fps)
        windows = in_frames(self._window, self._step, rate, clip_span(self._encoder.clip))
        return _State(windows, rate, deque(maxlen=windows.length), header_frames / fps if fps > 0 else 0.0)

    def _rates(self, fps: float) -> tuple[float, float]:
        return (RATE, RATE) if self._uneven else rates(fps)

    @property
    def share(self) -> float:
        """How much of the video has been taken, by the length in its header: from 0 to MOST; 0 if that is unknown."""
        state = self._state
        return min(MOST, state.seconds / state.length_s) if state.length_s else 0.0

    def start(self, fps: float, header_frames: int = 0) -> float:
        if self._running:
            self._running.exception()  # waits for it
        self._running, self.wrong_after, self._state = None, None, self._new(fps, header_frames)
        self._begin()
        return self._rates(fps)[0]

    def add(self, seconds: float, image: MatLike) -> None:
        state = self._state
        if state.frames == 0 and not state.last_frames:
            state.first_stamp = seconds
        before = state.last_frames[-1].seconds if state.last_frames else None
        since_first = repaired_time(seconds - state.first_stamp, before, state.rate)
        if since_first >= self._part[1]:
            raise EnoughError
        if state.frames >= self._limit:
            return
        rgb_HWC = cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
        state.last_frames.append(Frame(eval_crop([rgb_HWC], self._encoder.clip)[0], image, since_first))
        if since_first < self._part[0]:
            return
        state.frames += 1
        if state.frames == state.start + state.windows.length:
            self._close_window(state.start, state.windows.length)
            state.start += state.windows.step

    def keep(self, frames: int) -> None:
        self.wrong_after = frames

    def finish(self) -> tuple[Features | None, bytes, float]:
        """After the last frame: emit the last windows.

        Returns:
            Mean over all clips, None if the video is shorter than a clip; picture of the video; its length in seconds.
        """
        state = self._state
        if last := state.windows.last(state.frames):
            self._close_window(*last)
        self._embed_batch()
        self._collect()
        picture = state.pictures[len(state.pictures) // 2] if state.pictures else b""
        return (state.mean.result() if state.mean.count else None), picture, state.seconds

    def close(self) -> None:
        """Wait for the thread and end it."""
        self._thread.shutdown()

    def _close_window(self, start: int, length: int) -> None:
        """Prepare a window that ends with the last frame."""
        state = self._state
        clips = state.windows.clips(start, length)
        if not clips:
            return
        frames = list(state.last_frames)[-length:]
        if not self._uneven:
            check_even(frames[0].seconds, frames[-1].seconds, length, state.rate)
        for clip in clips:
            if clip not in state.asked:
                state.asked.add(clip)
                state.batch[clip] = np.stack([frames[clip - start + offset].squeezed_HWC for offset in self._offsets_T])
        _, jpeg = cv2.imencode(".jpg", frames[length // 2].small, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        window = Window(frames[0].seconds, frames[-1].seconds + 1 / state.rate, jpeg.tobytes(), clips)
        state.unfinished.append(window)
        if state.n_windows % state.pictures_step == 0:
            state.pictures.append(window.picture)
            if len(state.pictures) > MAX_PICTURES:
                state.pictures, state.pictures_step = state.pictures[::2], 2 * state.pictures_step
        state.n_windows += 1
        if len(state.batch) >= CLIPS_PER_BATCH:
            self._embed_batch()

    def _embed_batch(self) -> None:
        """Let the thread embed the clips that are waiting, when it is done with those before."""
        self._collect()
        if batch := self._state.batch:
            self._running = self._thread.submit(embed_clips, self._encoder, self._device, batch)
            self._state.batch = {}

    def _collect(self) -> None:
        """Wait for the thread; emit the windows that are finished."""
        if self._running is None:
            return
        state, new, self._running = self._state, self._running.result(), None
        for one in new.values():
            state.mean.add(one)
        state.embedded |= new
        finished = []
        while state.unfinished and all(clip in state.embedded for clip in state.unfinished[0].clips):
            window = state.unfinished.popleft()
            mean = Mean()
            for clip in window.clips:
                mean.add(state.embedded[clip])
            finished.append((window, mean.result()))
        needed_from = state.unfinished[0].clips[0] if state.unfinished else state.start - state.windows.step
        state.embedded = {clip: one for clip, one in state.embedded.items() if clip >= needed_from}
        state.asked = {clip for clip in state.asked if clip >= needed_from}
        if finished:
            self._emit(finished)
