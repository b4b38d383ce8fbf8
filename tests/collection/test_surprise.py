"""How surprising the moments of a video are: against a slow reference, for known events, and for bad input."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch

from mofore.clips.augment import eval_crop, to_input
from mofore.collection import surprise_sink as module
from mofore.collection.encoder import SHIPPED_CLIP
from mofore.collection.forecaster import Forecaster, open_forecaster
from mofore.collection.frame_times import UnevenError
from mofore.collection.surprise import measure, surprise
from mofore.collection.surprise_chart import draw_surprise
from mofore.collection.surprise_sink import COLUMNS, Surprise, SurpriseSink, find_peaks, normalise
from mofore.config import load_params
from mofore.errors import UserError
from mofore.frames.child import end_child
from mofore.frames.decode import decode_frames
from mofore.method.encoders import TwoStream, save_encoder
from mofore.method.model import MoFore
from mofore.method.saved_model import save_forecaster
from mofore.method.shipped import shipped_encoder
from tests.helpers.video_files import ROOT, write_video

SPAN = 25  # frames of a clip
Frames = npt.NDArray[np.uint8]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    end_child()


@pytest.fixture(scope="module", params=["motion", "both"])
def model_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose motion stream, or whose two streams forecast, with an untrained predictor."""
    folder = tmp_path_factory.mktemp(request.param) / "model"
    encoder = shipped_encoder("two_stream")
    assert isinstance(encoder, TwoStream)
    torch.manual_seed(0)
    forecast = replace(load_params(ROOT / "params.yaml").forecast, projection_dim=16, hidden_dim=32)
    model = MoFore(encoder.motion if request.param == "motion" else encoder, forecast, "averaged")
    save_encoder(folder, encoder, "small", SHIPPED_CLIP)
    save_forecaster(folder, model, forecast)
    return folder


def noise(frames: int, height: int = 64, width: int = 80, seed: int = 0) -> Frames:
    """A still picture with noise, BGR."""
    rng = np.random.default_rng(seed)
    still = cv2.resize(rng.integers(50, 200, (4, 5, 3), dtype=np.uint8), (width, height))
    return np.clip(still + rng.integers(-3, 4, (frames, height, width, 3)), 0, 255).astype(np.uint8)


def with_bar(frames_THWC: Frames, speed_T: npt.NDArray[np.float64], side: int = 12) -> Frames:
    """A bright square that moves to and fro at some pixels a frame, in the upper left quarter."""
    for frame_HWC, at in zip(frames_THWC, np.cumsum(speed_T), strict=True):
        left = int(abs(at % 50 - 25))
        frame_HWC[10 : 10 + side, left : left + side] = 250
    return frames_THWC


def run(
    forecaster: Forecaster, frames_THWC: Frames, gap: float = 0.0, step: float = 0.2, grid: int = 1
) -> Surprise | None:
    """Feed a sink."""
    sink = SurpriseSink(forecaster, gap, step, grid)
    assert sink.start(25.0) == 0
    for number, frame_HWC in enumerate(frames_THWC):
        sink.add(3.0 + number / 25, frame_HWC)
    return sink.result("")


def test_a_moment_equals_a_slow_reference(model_folder: Path) -> None:
    forecaster = open_forecaster(model_folder)
    model, clip = forecaster.model, forecaster.encoder.clip
    assert model
    frames_THWC = with_bar(noise(80), np.ones(80))
    found = run(forecaster, frames_THWC, gap=0.3)
    assert found
    assert found.forecasts
    assert found.gap_s == pytest.approx(10 / 25)  # 0.3 s are 8 frames, rounded up to whole steps of 5
    assert len(found.table) == 1 + (80 - 2 * SPAN - 10) // 5

    def features(first: int, networks: torch.nn.Sequential) -> torch.Tensor:
        rgb = np.ascontiguousarray(frames_THWC[first : first + SPAN : 3, :, :, ::-1])
        x_NCTHW = to_input(torch.tensor(eval_crop(rgb, clip))[None], clip.input)
        with torch.no_grad():
            return networks(x_NCTHW[:, :3] if model.streams == 1 else x_NCTHW)

    def distance(a_1P: torch.Tensor, b_1P: torch.Tensor) -> float:
        pairs = zip(a_1P.chunk(model.streams, 1), b_1P.chunk(model.streams, 1), strict=True)
        return 1 - float(torch.stack([torch.cosine_similarity(a, b) for a, b in pairs]).mean())

    for row, moment in enumerate(found.table.itertuples()):
        context, future = 5 * row, 5 * row + SPAN + 10
        with torch.no_grad():
            forecast = model.predict(features(context, model.online), torch.tensor([[10]]))
        target = features(future, model.ema)
        assert moment.time_s == pytest.approx((future + (SPAN - 1) / 2) / 25)
        assert moment.error == pytest.approx(distance(forecast, target), abs=1e-4)
        assert moment.persistence == pytest.approx(distance(features(context, model.ema), target), abs=1e-4)
        gray_THW = eval_crop(frames_THWC[future : future + SPAN : 3], clip) @ np.array([0.114, 0.587, 0.299])
        assert moment.frame_difference == pytest.approx(np.abs(np.diff(gray_THW, axis=0)).mean(), rel=1e-4)


def test_without_a_predictor_persistence_takes_the_place_of_the_error() -> None:
    found = run(open_forecaster(), with_bar(noise(70), np.ones(70)))
    assert found
    assert not found.forecasts
    assert list(found.table) == list(COLUMNS)
    assert (found.table.error == found.table.persistence).all()
    assert (found.table.error > 0).all()


def test_batches_do_not_matter(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forecaster, frames_THWC = open_forecaster(model_folder), with_bar(noise(130), np.ones(130))
    whole = run(forecaster, frames_THWC)
    monkeypatch.setattr(module, "MOMENTS_PER_BATCH", 3)
    parts = run(forecaster, frames_THWC)
    assert whole
    assert parts
    numbers = ["time_s", "error", "persistence", "frame_difference", "normalised"]
    np.testing.assert_allclose(whole.table[numbers], parts.table[numbers], atol=1e-3)


def test_what_repeats_exactly_is_no_change() -> None:
    frozen_THWC = np.repeat(noise(1), 80, axis=0)
    found = run(open_forecaster(), frozen_THWC)
    assert found
    assert found.table.persistence.max() < 1e-5
    assert found.table.frame_difference.max() == 0
    assert (found.table.normalised == 0).all()


def test_a_start_of_motion_is_a_peak() -> None:
    speed_T = np.where(np.arange(200) < 100, 0.0, 2.0)
    found = run(open_forecaster(), with_bar(noise(200), speed_T))
    assert found
    assert abs(found.peaks[0].time_s - 100 / 25) < 1.0
    assert found.peaks[0].normalised > 2
    assert found.peaks[0].normalised == pytest.approx(found.table.normalised.max())


def test_a_small_event_is_found_in_its_cell() -> None:
    """In a large picture, what moves in a corner is a peak of the grid, at the right cell and time."""
    frames_THWC = noise(140, 128, 160)
    speed_T = np.where(np.arange(140) < 80, 0.0, 2.0)
    with_bar(frames_THWC[:, :64, :80], speed_T)
    found = run(open_forecaster(), frames_THWC, step=0.4, grid=2)
    assert found
    peak = found.peaks[0]
    assert found.table.crop[found.table.normalised.argmax()] == "1-1"
    assert peak.crop == pytest.approx((0, 0, 1 / 2, 1 / 2))
    assert abs(peak.time_s - 80 / 25) < 1.2
    image = cv2.imdecode(np.frombuffer(peak.picture, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    shown = frames_THWC[round(peak.time_s * 25)]
    assert np.abs(image.astype(int) - shown).mean() < np.abs(image.astype(int) - frames_THWC[0]).mean()


def test_frames_that_turned_out_wrong_are_forgotten() -> None:
    forecaster, frames_THWC = open_forecaster(), with_bar(noise(100), np.ones(100))
    sink = SurpriseSink(forecaster, 0.0, 0.2, 1)
    sink.start(25.0)
    for number, frame_HWC in enumerate(frames_THWC):
        sink.add(number / 25, frame_HWC)
    sink.keep(70)
    cut, short = sink.result("damaged"), run(forecaster, frames_THWC[:70])
    assert cut
    assert short
    np.testing.assert_allclose(cut.table.error, short.table.error, atol=1e-6)
    assert cut.reason == "damaged"
    sink.start(25.0)  # another decoder
    assert sink.result("") is None


def test_few_pictures_are_kept_and_peaks_are_among_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PICTURES", 20)
    speed_T = np.where(np.arange(500) < 200, 0.0, 2.0)
    sink = SurpriseSink(open_forecaster(), 0.0, 0.2, 1)
    sink.start(25.0)
    for number, frame_HWC in enumerate(with_bar(noise(500), speed_T)):
        sink.add(number / 25, frame_HWC)
    assert len(sink._state.pictures) <= 20 + module.MOMENTS_PER_BATCH
    found = sink.result("")
    assert found
    assert abs(found.peaks[0].time_s - 8.0) < 1.0


def test_time_stamps_that_are_unknown_or_out_of_order_become_regular() -> None:
    sink = SurpriseSink(open_forecaster(), 0.0, 0.2, 1)
    sink.start(25.0)
    for number, frame_HWC in enumerate(noise(60)):
        sink.add(float("nan") if number % 2 else -number, frame_HWC)
    found = sink.result("")
    assert found
    np.testing.assert_allclose(found.table.time_s, (37 + 5 * np.arange(3)) / 25, atol=1e-6)


@pytest.mark.parametrize(
    "seconds",
    [
        [t / 25 for t in range(100)] + [4 + t / 12.5 for t in range(100)],  # half the rate after 4 seconds
        [t / 25 + 20 * (t > 80) for t in range(200)],  # a pause of 20 seconds
    ],
)
def test_a_video_of_a_variable_rate_is_resampled(tmp_path: Path, seconds: list[float]) -> None:
    """A square moves at a constant speed, so a change of the rate of frames is no event."""
    file, lasts = tmp_path / "uneven.mkv", seconds[-1]
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 80, 64, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for second in seconds:
            frame = av.VideoFrame.from_ndarray(with_bar(noise(1), np.array([second * 25]))[0], "bgr24")
            frame.pts, frame.time_base = round(second * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    table = measure(file, open_forecaster(), step=0.4).table
    assert table.time_s.max() == pytest.approx(lasts - 0.5, abs=0.5)
    np.testing.assert_allclose(np.diff(table.time_s), 0.4, atol=1e-6)
    with pytest.raises(UnevenError):
        decode_frames(file, SurpriseSink(open_forecaster(), 0.0, 5.0, 1), 64, lambda: None)


def test_a_gap_that_the_model_was_not_trained_on_is_told(model_folder: Path) -> None:
    forecaster, frames_THWC = open_forecaster(model_folder), noise(150)
    assert forecaster.gap_max == 48
    far, near = run(forecaster, frames_THWC, step=3.0), run(forecaster, frames_THWC)
    assert far
    assert near
    assert far.gap_s == pytest.approx(2)
    assert far.note.startswith("the gap has 50 frames, but the model was trained on 48 at most")
    assert (far.table.gap_s == far.gap_s).all()
    assert (near.gap_s, near.note) == (0, "")


@pytest.mark.parametrize("error", [cv2.error("odd size"), OSError("input/output"), ValueError("two\nlines")])
def test_any_error_of_a_decoder_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: object) -> None:
        raise error

    file = write_video(tmp_path / "odd.avi", 90)
    monkeypatch.setattr("mofore.frames.decode._give", fail)
    with pytest.raises(UserError, match=rf"odd.avi: the decoder failed \({type(error).__name__}: .*give another"):
        measure(file, open_forecaster())


def test_peaks_are_apart_and_normalising_knows_constants() -> None:
    time_M, score_M = np.arange(0, 10, 0.5), np.zeros(20, np.float32)
    score_M[[4, 5, 12]] = 2, 3, 1
    assert find_peaks(time_M, score_M, set(range(20)))[:2] == [5, 12]
    assert find_peaks(time_M, score_M, {4, 25})[:2] == [4]
    np.testing.assert_array_equal(normalise(np.full((5, 1), 7, np.float32)), 0)
    np.testing.assert_allclose(normalise(np.array([[1], [2], [3]], np.float32))[:, 0], [-1.2247, 0, 1.2247], atol=1e-3)


def test_a_file_is_measured_in_a_child_and_drawn(model_folder: Path, tmp_path: Path) -> None:
    file = write_video(tmp_path / "bar.avi", 90, (176, 136))
    found = surprise(file, model_folder, timeout=120)
    same = measure(file, open_forecaster(model_folder))
    np.testing.assert_allclose(found.table.error, same.table.error, atol=1e-4)
    assert len(found.table) == 1 + (90 - 50) // 5
    assert set(found.table.crop) <= {"whole", "1-1", "1-2", "2-1", "2-2"}  # 136 pixels are twice 64, not three times
    pictures = [tmp_path / "one.png", tmp_path / "two.png"]
    for picture in pictures:
        draw_surprise(found, "bar_$1.avi", picture)
    assert pictures[0].read_bytes() == pictures[1].read_bytes()
    image = cv2.imread(str(pictures[0]))
    assert image is not None
    assert image.shape == (640, 1200, 3)


def test_bad_videos_get_one_line(tmp_path: Path) -> None:
    short, text = write_video(tmp_path / "short.avi", 40), tmp_path / "text.mp4"
    text.write_text("no video")
    for file, message in (
        (short, "short.avi: too short, as 5 moments to compare need 2.8 seconds"),
        (tmp_path / "none.avi", "none.avi: No such file"),
        (text, "text.mp4: not a video"),
    ):
        with pytest.raises(UserError, match=message) as error:
            measure(file, open_forecaster())
        assert "\n" not in str(error.value)


def test_bad_models_and_numbers_get_one_line(tmp_path: Path) -> None:
    save_encoder(tmp_path / "encoder", shipped_encoder("two_stream"), "small", SHIPPED_CLIP)
    with pytest.raises(UserError, match="encoder: holds an encoder, but no predictor"):
        open_forecaster(tmp_path / "encoder")
    with pytest.raises(UserError, match="encoder: holds an encoder, but no predictor"):  # from the child, too
        surprise(tmp_path / "any.avi", tmp_path / "encoder")
    for model, message in ((tmp_path / "nowhere", "no such folder"), (Path("shipped"), "has no predictor")):
        with pytest.raises(UserError, match=message):
            surprise(tmp_path / "any.avi", model)
    for gap, step, grid in (
        (0.0, 0.0, 0),
        (float("nan"), 0.2, 0),
        (-1.0, 0.2, 0),
        (0.0, float("inf"), 0),
        (0.0, 0.2, 4),
    ):
        with pytest.raises(UserError, match=f"grid {grid}: gap must be 0 to 3600"):
            surprise(tmp_path / "any.avi", gap=gap, step=step, grid=grid)


def test_a_damaged_predictor_is_named(model_folder: Path, tmp_path: Path) -> None:
    for file in model_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes()[: -100 if "forecaster.safe" in file.name else None])
    with pytest.raises(UserError, match="predictor cannot be read"):
        open_forecaster(tmp_path)
