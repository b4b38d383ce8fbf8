"""The command `mofore`: help, exit status, errors of one line; the older commands, in both forms."""

import errno
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from mofore.cli import main as cli
from mofore.errors import UserError
from tests.helpers.processes import heed_signals
from tests.helpers.video_files import write_video

ROOT = Path(__file__).parents[2]
APP = cli.make_app()
GROUP = typer.main.get_group(APP)
MODULES = {verb.__name__.rpartition(".")[2]: verb for verbs in cli.VERBS.values() for verb in verbs}
EXAMPLES = [line for verb in MODULES.values() for line in verb.EXAMPLES.splitlines() if line.startswith("mofore ")]


def run(*words: str, module: str = "mofore.cli.main", folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "100", "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, "-m", module, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def end_with(error: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> int:
    """Exit status of a verb that raises this."""

    def fail(_: list[str]) -> None:
        raise error

    monkeypatch.setattr("mofore.experiments.clean.list_or_delete", fail)
    monkeypatch.setattr(sys, "argv", ["mofore", "clean"])
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_help_lists_each_verb_on_a_line() -> None:
    shown = CliRunner(env={"COLUMNS": "100"}).invoke(APP, ["--help"])
    assert shown.exit_code == 0
    for panel in cli.VERBS:
        assert panel in shown.output
    for name in MODULES:
        assert len(re.findall(rf"│ {name} +\S", shown.output)) == 1
        summary = (GROUP.commands[name].help or "").splitlines()[0]
        assert summary in shown.output, "must fit into one line"


@pytest.mark.parametrize("name", MODULES)
def test_help_of_a_verb_has_its_options_and_examples(name: str) -> None:
    shown = CliRunner(env={"COLUMNS": "100"}).invoke(APP, [name, "--help"])
    assert shown.exit_code == 0
    assert "Examples:" in shown.output
    for line in MODULES[name].EXAMPLES.strip().splitlines():
        assert line in shown.output
    for option in GROUP.commands[name].params:
        assert option.opts[-1] in shown.output or option.param_type_name == "argument"


def test_each_verb_has_examples() -> None:
    assert {line.split()[1] for line in EXAMPLES} == set(MODULES)


@pytest.mark.parametrize("line", EXAMPLES)
def test_examples_can_be_parsed(line: str) -> None:
    _, verb, *words = shlex.split(line.partition(" | ")[0])
    GROUP.commands[verb].make_context(verb, words)


def test_help_loads_no_large_library() -> None:
    code = (
        "import sys; from mofore.cli import main as cli; sys.argv = ['mofore', '--help']\n"
        "try: cli.main()\n"
        "finally: print({'torch', 'pandas', 'numpy', 'cv2', 'hydra', 'sklearn', 'pyarrow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("set()\n")


def test_version() -> None:
    from mofore import __version__

    assert run("--version").stdout == f"mofore {__version__}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["doktor"], "doctor"),
        (["sweep"], "KEY"),
        (["presets", "--wrong"], "--wrong"),
        (["hmdb51", "videos", "splits", "4"], "3"),
    ],
)
def test_a_wrong_command_line_ends_with_status_2(words: list[str], said: str) -> None:
    done = CliRunner().invoke(APP, words)
    assert done.exit_code == 2
    assert said in done.output


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (UserError("a: b\nc"), 1, "error: a: b c\n"),
        (PermissionError(errno.EACCES, "Permission denied", "/x/y"), 1, "error: /x/y: Permission denied: name another"),
        (OSError(errno.ENOSPC, "No space left", "/x/y"), 1, "error: /x/y: no space left on the device: free some"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_errors_of_the_user_are_one_line(
    error: BaseException, status: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert end_with(error, monkeypatch, capsys) == status
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(said)
    assert len(shown.err.splitlines()) == (1 if said else 0)


def test_names_that_are_not_utf8_are_left_out_by_embed_and_refused_by_others(tmp_path: Path) -> None:
    """As a shell expands `*`."""
    names = [write_video(tmp_path / "a.avi", 30).name, "caf\udce9.avi", "gone\udce9", "empty\udce9"]
    (tmp_path / names[1]).write_bytes(b"x")
    (tmp_path / names[2]).symlink_to("nowhere")
    (tmp_path / names[3]).mkdir()
    done = run("embed", *names, "--quiet", folder=tmp_path)
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        rf"warning: 1 file left out, without the suffix of a video; to try one, give it alone: {tmp_path}/gone\xe9",
        r"warning: 1 folder left out, without videos: empty\xe9",
        rf"warning: 1 path left out, not UTF-8: rename them: {tmp_path}/caf\xe9.avi",
    ]
    for words in (["search", names[1]], ["embed", names[0], "--out", "caf\udce9.parquet"]):
        done = run(*words, folder=tmp_path)
        assert done.returncode == 1
        assert done.stderr.startswith(r"error: caf\xe9.")
        assert "is not UTF-8: rename the file or folder" in done.stderr


@pytest.mark.parametrize("suffix", [".parquet", ".npz"])
def test_a_table_is_not_written_where_the_path_is_not_utf8(suffix: str, tmp_path: Path) -> None:
    video, place = write_video(tmp_path / "a.avi", 30), tmp_path / "caf\udce9"
    place.mkdir()
    (tmp_path / "link").symlink_to(place)
    for out, folder in ((f"t{suffix}", place), (f"link/t{suffix}", tmp_path)):
        done = run("embed", str(video), "--out", out, folder=folder)
        assert done.returncode == 1
        assert done.stderr.splitlines() == [
            rf"error: {tmp_path}/caf\xe9/t{suffix}: this path is not UTF-8: give another name for the output"
        ]
    assert not list(place.iterdir())


@pytest.mark.parametrize("error", [ValueError("bug"), FileNotFoundError(errno.ENOENT, "No such file", "/x")])
def test_bugs_keep_their_traceback(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(type(error)):
        end_with(error, monkeypatch, capsys)


@pytest.mark.parametrize("words", [["presets"], ["--help"]])
def test_a_reader_that_has_gone_ends_it_quietly(words: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "mofore.cli.main", *words], cwd=ROOT, stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)
    assert done.stderr == b""
    assert done.returncode != 0


def test_completion_knows_the_verbs() -> None:
    environment = os.environ | {
        "_MOFORE_COMPLETE": "complete_bash",
        "COMP_WORDS": "mofore s",
        "COMP_CWORD": "1",
        "PYTHONPATH": str(ROOT),
    }
    code = "import sys; sys.argv = ['mofore']; from mofore.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.split() == sorted((name for name in MODULES if name.startswith("s")), key=list(MODULES).index)


def test_presets_switch_params(tmp_path: Path) -> None:
    for name in ("params.yaml", "presets"):
        (tmp_path / name).symlink_to(ROOT / name)
    listed, old = run("presets", folder=tmp_path), run(module="mofore.experiments.presets", folder=tmp_path)
    assert listed.stdout == old.stdout
    assert "  ucf101 " in listed.stdout
    (tmp_path / "params.yaml").unlink()
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    done = run("presets", "demo", "seed=77", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "-> 77" in done.stdout
    assert re.search(r"^seed: +77\b", (tmp_path / "params.yaml").read_text(), re.MULTILINE)


@pytest.mark.parametrize(
    ("words", "module"),
    [
        (["check", "none"], "mofore.videos.check"),
        (["hmdb51", "a", "b", "3"], "mofore.videos.hmdb51"),
        (["clean", "none"], "mofore.experiments.clean"),
        (["presets", "none"], "mofore.experiments.presets"),
    ],
)
def test_the_older_form_does_the_same(words: list[str], module: str) -> None:
    done, old = run(*words), run(*words[1:], module=module)
    assert done.returncode == old.returncode == 1
    assert done.stderr == old.stderr
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


def test_experiments_get_the_words(monkeypatch: pytest.MonkeyPatch) -> None:
    got: list[object] = []
    for name in ("sweep.sweep", "ablations.queue_or_tabulate", "compare.queue_or_compare", "doctor.main"):
        monkeypatch.setattr(f"mofore.experiments.{name}", lambda *words: got.append(words))
    for line in (
        "sweep forecast.gap_max",
        "ablations paper queue 1 2",
        "ablations --out x/y",
        "compare queue a=1 b=2 --set demo --set x --seed 3",
        "compare a=1 --held-out",
        "doctor",
    ):
        assert CliRunner().invoke(APP, line.split()).exit_code == 0
    assert got == [
        ("forecast.gap_max",),
        (["paper", "queue", "1", "2"], None),
        ([], Path("x/y")),
        (["queue", "a=1", "b=2"], ["demo", "x"], [3], False),
        (["a=1"], ["demo"], [1], True),
        (),
    ]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stopped_verb_removes_its_temporary_files(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "mofore.cli.main", "export", "--out", str(tmp_path / "encoder")]
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, preexec_fn=heed_signals, **pipes) as running:  # noqa: PLW1509 # no locks
        until = time.monotonic() + 120
        while not list(tmp_path.glob("*/*")) and time.monotonic() < until:
            time.sleep(0.05)
        assert list(tmp_path.glob("*/*"))  # the first file, in the folder in which all are made
        running.send_signal(number)
        out, err = running.communicate(timeout=120)
    assert (running.returncode, out, err) == (128 + number, "", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stop_that_a_library_turns_into_an_error_is_quiet(number: signal.Signals) -> None:
    code = """
import os, sys
import mofore.cli.main as module

def verb():
    try:
        os.kill(os.getpid(), int(sys.argv[1]))
        raise AssertionError("the signal was ignored")
    except BaseException:
        raise TypeError("expected a message argument") from None

module.make_app = lambda: verb
module.main()
"""
    command = [sys.executable, "-c", code, str(int(number))]
    run = subprocess.run(command, cwd=ROOT, preexec_fn=heed_signals, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (128 + number, "", "")
