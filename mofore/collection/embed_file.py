"""Embeds one video file, in a child process that may crash or hang without harm to others.

The rows of the file go into a part of the table, a file in Arrow's IPC format, window by window.

Shapes: N windows, D feature dimensions, G parts of the frame.
"""

import errno
import math
import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mofore.clips.sampling import clip_span
from mofore.collection.table import SCHEMA, VIDEO, WINDOW, make_part
from mofore.errors import UserError
from mofore.frames.child import ChildLostError, Reply, work_in_child
from mofore.frames.outcome import Decoded
from mofore.utils.files import writing

FloatArray = npt.NDArray[np.float32]
SHORT_PART, LATE_PART = "this part is", "ends at"  # how reasons begin that another part of the video may not have
TRANSIENT_REASONS = (  # patterns of the reasons that may not hold the next time
    r"no frame for .* s, given up",
    r"the decoder crashed .*",
    r"the decoder failed \(MemoryError.*",
    *(re.escape(os.strerror(number)) for number in errno.errorcode),  # of a network disk, of permissions
)


@dataclass(frozen=True)
class FileTask:
    """A request to embed one video file. It can be sent to another machine that shares the file system.

    Attributes:
        file: absolute path.
        target: the part of the table to write.
        encoder: see `open_encoder`.
        encoder_hash: that it must have.
        window, step: in seconds.
        device: name of the torch device.
        timeout: seconds without a frame after which a video is given up.
        stamp: size of the file in bytes and its time in nanoseconds, when it was asked for. If it changes later, the
            next run sees that.
    """

    file: Path
    target: Path
    encoder: str
    encoder_hash: str
    window: float
    step: float
    device: str
    timeout: float
    stamp: tuple[int, int] | None = None

    @property
    def files(self) -> Sequence[Path]:
        """The only file."""
        return [self.file]

    @property
    def size(self) -> int:
        """Bytes of the file, 0 if unknown."""
        return self.stamp[0] if self.stamp else 0

    def make(self, on_share: Callable[[float], None] = lambda share: None) -> None:
        """Write `target`, unless it is there.

        Args:
            on_share: is called now and then with the share of the video that is done, from 0 to below 1.

        Raises:
            OSError: it cannot be written; the error has its name.
        """
        if is_whole(self.target):
            return
        part = self.target.with_suffix(f".{os.uname().nodename}-{os.getpid()}.part")
        reason = ""
        for _ in range(2):  # a single crash may have another cause, such as lack of memory or a kill
            try:
                for share in work_in_child(_write_part, self, part, timeout=self.timeout):
                    on_share(share)
                reason = ""
                break
            except TimeoutError:
                reason = f"no frame for {self.timeout:g} s, given up"
                break
            except ChildLostError as lost:
                reason = str(lost)
        if reason:
            with writing(part) as out, pa.ipc.new_stream(out, SCHEMA) as writer:
                writer.write_table(_video_row(self, Decoded(reason=reason), None, b"", 0.0))
        part.replace(self.target)


def embed_part(task: FileTask, part: tuple[float, float]) -> FloatArray:
    """Embed a part of a file: the mean over its clips, of the whole frame.

    Args:
        task: what to embed, and how; its target is not written.
        part: start and end in seconds.

    Returns:
        As in column `embedding` of a table: [D].

    Raises:
        UserError: the file cannot be read, or the part is shorter than a clip.
    """
    try:
        (x_D,) = work_in_child(_answer_mean, task, part, timeout=task.timeout)
    except TimeoutError:
        raise UserError(f"{task.file}: no frame for {task.timeout:g} s, given up: give another file") from None
    except ChildLostError as lost:
        raise UserError(f"{task.file}: {lost}: give another file") from None
    found: FloatArray = x_D
    return found


def read_part(file: Path) -> pa.Table:
    """The rows of a part."""
    with pa.memory_map(str(file)) as source:
        return pa.ipc.open_stream(source).read_all()


def is_whole(part: Path) -> bool:
    """Whether a part is there, with all of its rows: a file may be cut off or empty if the power fails."""
    try:
        kinds = read_part(part)["kind"]
    except (OSError, pa.ArrowException):
        return False
    return len(kinds) > 0 and kinds[-1].as_py() == VIDEO


def _write_part(reply: Reply, task: FileTask, part: Path) -> None:
    """In the child: embed a file and write its rows."""
    with writing(part) as out:
        writer: Any = None

        def begin() -> None:
            nonlocal writer
            out.seek(0)
            out.truncate()
            writer = pa.ipc.new_stream(out, SCHEMA)

        def emit(found: list[Any]) -> None:
            writer.write_table(_window_rows(task.file, found))
            reply.heartbeat()

        decoded, mean, picture, seconds = _embed(reply, task, begin, emit, reply.heartbeat)
        if not decoded.frames:
            begin()  # forget the windows of a decoder that failed later
        writer.write_table(_video_row(task, decoded, mean, picture, seconds))
        writer.close()


def _answer_mean(reply: Reply, task: FileTask, part: tuple[float, float]) -> None:
    """In the child: answer with the mean over the clips of a part of a file.

    Raises:
        UserError: there is none.
    """
    decoded, mean, _, _ = _embed(reply, task, lambda: None, lambda found: None, lambda share: reply.heartbeat(), part)
    if mean is None:
        other = ", or another part of it" if decoded.reason.startswith((SHORT_PART, LATE_PART)) else ""
        raise UserError(f"{task.file}: {decoded.reason}: give another file{other}")
    reply.answer(mean.x_GD[0])


def _embed(
    reply: Reply,
    task: FileTask,
    begin: Callable[[], None],
    emit: Callable[[list[Any]], None],
    heartbeat: Callable[[float], None],
    part: tuple[float, float] = (0.0, math.inf),
) -> tuple[Decoded, Any, bytes, float]:
    """Decode and embed a file; `begin`, `emit` and `part` as for `WindowSink`.

    `heartbeat` is called often, with the share of the video that is done.

    Returns:
        What was decoded; mean over all clips, None if there is none; picture; seconds.
    """
    with reply.busy():  # torch may take long to load on a busy machine
        from mofore.collection.frame_times import UnevenError
        from mofore.collection.stream import EnoughError, WindowSink
        from mofore.frames.decode import decode_frames

        encoder, device = _encoder(task.encoder, task.encoder_hash, task.device)
    limit, uneven = math.inf, False
    while True:
        sink = WindowSink(encoder, device, task.window, task.step, begin, emit, part, limit, uneven)
        try:
            decoded = Decoded(frames=1)  # if the part ends before the video
            with suppress(EnoughError):

                def alive(of: WindowSink = sink) -> None:
                    heartbeat(of.share)

                decoded = decode_frames(task.file, sink, encoder.short_side, alive, by_planes=True)
            if sink.wrong_after is not None and limit == math.inf:
                limit = sink.wrong_after  # again, without the frames that turned out to be wrong
                continue
            if not decoded.frames:
                return decoded, None, b"", 0.0
            mean, picture, seconds = sink.finish()
        except UnevenError:
            limit, uneven = math.inf, True  # again, resampled: numbers of frames are others then
            continue
        except (OSError, UserError, RuntimeError):
            raise  # the part cannot be written, or the network failed
        except Exception as error:  # any error of a decoder affects this file only
            return Decoded(reason=f"the decoder failed ({type(error).__name__}: {error})"), None, b"", 0.0
        finally:
            sink.close()
        if mean is None:
            reason = f"shorter than a clip of {clip_span(encoder.clip)} frames"
            if part != (0.0, math.inf):
                reason = f"{SHORT_PART} {reason}"
            if 0 < seconds <= part[0]:
                reason = f"{LATE_PART} {seconds:.2f} s, before the part that starts at {part[0]:g} s"
            return Decoded(0, decoded.fps, decoded.width, decoded.height, reason), None, b"", 0.0
        return decoded, mean, picture, seconds


@lru_cache(1)
def _encoder(source: str, wanted_hash: str, device: str) -> tuple[Any, Any]:
    """The encoder on its device, for all files that this process embeds. One thread: processes share the cores."""
    import torch

    from mofore.collection.encoder import open_encoder

    torch.set_num_threads(1)
    loaded = open_encoder(source)
    if loaded.hash != wanted_hash:
        raise UserError(f"{source}: this encoder is not the one that was asked for: it has changed meanwhile")
    on = torch.device(device)
    loaded.network.to(on)
    return loaded, on


def _window_rows(file: Path, found: list[Any]) -> pa.Table:
    n = len(found)
    rows: dict[str, list[Any]] = {name: [None] * n for name in SCHEMA.names}
    rows |= {
        "file": [str(file)] * n,
        "kind": [WINDOW] * n,
        "start_s": [round(window.start_s, 3) for window, _ in found],
        "end_s": [round(window.end_s, 3) for window, _ in found],
        "motion": [mean.motion for _, mean in found],
        "contrast": [mean.contrast for _, mean in found],
        "picture": [window.picture for window, _ in found],
    }
    return make_part(rows, np.stack([mean.x_GD[0] for _, mean in found]), [None] * n)


def _video_row(task: FileTask, decoded: Decoded, mean: Any, picture: bytes, seconds: float) -> pa.Table:
    size, modified = task.stamp or (0, 0)
    rows: dict[str, list[Any]] = {
        "file": [str(task.file)],
        "kind": [VIDEO],
        "start_s": [0.0],
        "end_s": [round(seconds, 3)],
        "motion": [mean.motion if mean else None],
        "contrast": [mean.contrast if mean else None],
        "picture": [picture or None],
        "frames": [decoded.frames],
        "fps": [decoded.fps],
        "width": [decoded.width],
        "height": [decoded.height],
        "status": [decoded.status],
        "reason": [decoded.reason or decoded.note],
        "size": [size],
        "modified": [modified],
    }
    x_GD = mean.x_GD if mean else None
    return make_part(rows, None if x_GD is None else x_GD[:1], [None if x_GD is None else x_GD[1:].reshape(-1)])
