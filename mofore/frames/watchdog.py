"""Decode videos in a child process, so that a video that hangs or crashes the decoder affects no other video.

The child gets the files of one pack at a time, and sends a result after each file. If it was killed or crashed, a new
child continues after the last finished file.
"""

import os
from pathlib import Path

from mofore.config import Frames
from mofore.frames.child import ChildLostError, Reply, work_in_child
from mofore.frames.outcome import Outcome
from mofore.utils.files import writing


def write_pack(pack: Path, files: list[Path], frames: Frames, timeout: float) -> list[Outcome]:
    """Write the frames of some video files into one pack, in the order of the files.

    Args:
        pack: the file to write.
        files: absolute paths; they need not exist or be videos.
        frames: size, quality and frame rate of the stored frames.
        timeout: seconds without a frame after which a file is given up.

    Returns:
        The outcome of each file. If the decoder crashes twice or hangs on a file, its outcome has no frames and gives
        that as the reason.

    Raises:
        OSError: the pack cannot be written; the error has its name.
        RuntimeError: a child does not start, or its own code fails.
    """
    outcomes: list[Outcome] = []
    with writing(pack):
        pass
    end = crashes = 0
    while len(outcomes) < len(files):
        try:
            for outcome in work_in_child(_append, pack, end, files[len(outcomes) :], frames, timeout=timeout):
                outcomes.append(outcome)
                end += sum(outcome.lengths)
                crashes = 0
        except TimeoutError:
            if len(outcomes) < len(files):  # else it hung after the last one
                outcomes.append(Outcome(reason=f"no frame for {timeout:g} s, given up"))
        except ChildLostError as lost:
            crashes += 1
            if crashes == 2:  # a single crash may have another cause, such as lack of memory or a kill
                outcomes.append(Outcome(reason=str(lost)))
                crashes = 0
    os.truncate(pack, end)  # if the last file was given up, its frames are still in the pack
    return outcomes


def _append(reply: Reply, pack: Path, end: int, files: list[Path], frames: Frames) -> None:
    """In the child: cut a pack to its first `end` bytes, append the frames of some files, answer with each outcome.

    Raises:
        OSError: the pack cannot be written; the error has its name.
    """
    from mofore.frames.decode import decode_video  # the supervisor need not import OpenCV

    with writing(pack, "r+b") as out:
        out.truncate(end)
        out.seek(end)
        for file in files:
            start = out.tell()
            try:
                outcome = decode_video(file, out, frames, reply.heartbeat)
            except OSError:
                raise  # the pack cannot be written
            except Exception as error:  # any error of a decoder affects this file only
                out.seek(start)
                out.truncate()
                outcome = Outcome(reason=f"the decoder failed ({type(error).__name__}: {error})")
            out.flush()  # a file reported as done must be in the pack even if a later file crashes the child
            reply.answer(outcome)
