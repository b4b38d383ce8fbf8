"""Files embedded side by side: the same by threads and by a Dask cluster; how far it is, within a video, too."""

import io
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from tqdm import tqdm

from mofore.collection.embed import embed_to_table
from mofore.collection.embed_file import FileTask
from mofore.collection.embed_files import embed_files
from mofore.collection.encoder import open_encoder
from mofore.errors import UserError
from tests.helpers.dask_cluster import dask_cluster
from tests.helpers.processes import needs_proc
from tests.helpers.video_files import write_video


@pytest.mark.slow
@needs_proc
def test_a_dask_cluster_of_two_processes_embeds_the_same(tmp_path: Path) -> None:
    for number in range(4):
        write_video(tmp_path / "videos" / f"{number}.avi", 30 + 40 * number, (96, 64))
    (tmp_path / "videos" / "none.mp4").write_bytes(b"no video")
    here, there = tmp_path / "here.parquet", tmp_path / "there.parquet"
    embed_to_table([tmp_path / "videos"], here, workers=2)
    with dask_cluster(tmp_path):
        done = embed_to_table([tmp_path / "videos"], there, backend="dask")
    assert (done.added, list(done.unreadable)) == (4, [str(tmp_path / "videos" / "none.mp4")])
    assert here.read_bytes() == there.read_bytes()


def test_dask_without_an_address_names_the_option_of_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.delenv("DASK_SCHEDULER_ADDRESS", raising=False)
    video = write_video(tmp_path / "a.avi", 30)
    with pytest.raises(UserError, match=r"DASK_SCHEDULER_ADDRESS is not set: .* on this machine \(--backend local\)"):
        embed_to_table([video], tmp_path / "t.parquet", backend="dask")


def test_the_bar_counts_bytes_and_moves_within_a_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One video is done before, one cannot be read, one has many frames. Each heartbeat is told, as if it were late."""
    done, long = write_video(tmp_path / "done.avi", 30), write_video(tmp_path / "long.avi", 500)
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video")
    bars: list[Any] = []
    moved: list[float] = []

    class Bar(tqdm):  # type: ignore[type-arg]
        def update(self, n: float | None = 1) -> bool | None:
            moved.append(n or 0)
            return super().update(n)

    def bar(total: int, before: int, what: str, hidden: bool) -> Any:
        bars.append(Bar(total=total, initial=before, desc=what, file=io.StringIO()))
        return bars[0]

    encoder = open_encoder()
    tasks = [
        FileTask(
            file,
            file.with_suffix(".arrow"),
            encoder.source,
            encoder.hash,
            2.0,
            1.0,
            "cpu",
            60.0,
            (file.stat().st_size, 1),
        )
        for file in (bad, done, long)
    ]
    tasks[1].make()
    monkeypatch.setattr("mofore.collection.embed_files.progress_bytes", bar)
    monkeypatch.setattr("mofore.collection.embed_file.work_in_child", _in_this_process)
    monkeypatch.setattr("torch.set_num_threads", lambda count: None)
    embed_files(tasks, 1, "local")
    assert bars[0].initial == tasks[1].size
    assert bars[0].n == bars[0].total == sum(task.size for task in tasks)
    assert bars[0].desc == "embed, 3 of 3 videos: "
    assert len(moved) > 10, "also within the long video"
    assert min(moved) >= 0
    assert max(moved) < tasks[2].size


def _in_this_process(function: Callable[..., None], *args: Any, timeout: float) -> Iterator[Any]:
    """Stands in for `work_in_child`: a child tells every 0.3 s only, so what it tells depends on the machine."""
    told: list[Any] = []

    class EachHeartbeat:
        busy = staticmethod(nullcontext)

        def heartbeat(self, value: Any = None) -> None:
            if value is not None:
                told.append(value)

    function(EachHeartbeat(), *args)
    yield from told
