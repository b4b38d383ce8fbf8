"""Embeds many files side by side, and shows how far that is.

The bar counts bytes of the files, so that its remaining time is right for long and short videos together. Processes of
this machine tell how much of a video they have done; those of a Dask cluster, when they have finished one.
"""

import threading
from collections.abc import Iterator, Sequence
from queue import Empty, Queue

from mofore.collection.embed_file import FileTask, is_whole
from mofore.frames.child import end_child
from mofore.frames.parallel import make_packs
from mofore.utils.progress import progress_bytes

Done = tuple[FileTask, float]  # the share of it that is done, 0 to 1; 1: it is finished


def embed_files(tasks: Sequence[FileTask], workers: int, backend: str, quiet: bool = False) -> None:
    """Make the parts of all tasks that are not there yet.

    Args:
        tasks: what to embed.
        workers, backend, quiet: see `embed_to_table`; `workers` is at least 0.
    """
    todo = [task for task in tasks if not is_whole(task.target)]
    if backend == "dask":
        finished = make_packs(todo, workers, backend, local="--backend local")
        made: Iterator[Done] = ((task, 1.0) for task, _ in zip(todo, finished, strict=True))
    else:
        made = _in_threads(todo, min(workers, len(todo)))
    left = len(todo)
    seen = {task: task.size for task in tasks} | dict.fromkeys(todo, 0)  # bytes
    with progress_bytes(sum(task.size for task in tasks), sum(seen.values()), "embed", quiet) as bar:
        for task, share in made:
            left -= share == 1
            new = max(0, int(share * task.size) - seen[task])  # not below what was shown, if a video is begun anew
            seen[task] += new
            bar.set_description(f"embed, {len(tasks) - left:,} of {len(tasks):,} videos", refresh=False)
            bar.update(new)


def _in_threads(tasks: Sequence[FileTask], count: int) -> Iterator[Done]:
    """Do the tasks in `count` threads or one, each with a child process that does the work."""
    todo: Queue[FileTask] = Queue()
    done: Queue[Done | Exception] = Queue()
    for task in tasks:
        todo.put(task)

    def work() -> None:
        try:
            while True:
                task = todo.get_nowait()
                task.make(lambda share: done.put((task, share)))  # noqa: B023 # called by `make` alone
                done.put((task, 1.0))
        except Empty:
            pass
        except Exception as error:
            done.put(error)
        finally:
            end_child()

    for _ in range(max(1, count)):  # daemons, so that Ctrl-C need not wait for them; children end with this process
        threading.Thread(target=work, daemon=True).start()
    left = len(tasks)
    while left:
        found = done.get()
        if isinstance(found, Exception):
            todo.queue.clear()
            raise found
        left -= found[1] == 1
        yield found
