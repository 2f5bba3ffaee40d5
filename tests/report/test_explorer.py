"""The explorer: what is in the page, and what it does and computes in a browser that has no network."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from conftest import PROJECT, ROOT, faults_for_readers, opened
from latentlab import models, paths
from latentlab.data import drawing
from latentlab.data import images as data
from latentlab.data.images import Images, Splits
from latentlab.evaluation.interpolation import spherical
from latentlab.models import check
from latentlab.models.onnxmodels import in_onnxruntime
from latentlab.models.trained import CPU, TrainedModel
from latentlab.params.variants import Variant
from latentlab.report import explorer, packing

GREY, COLOUR = (1, 28, 28), (3, 20, 20)
# every family, every upsampling, every activation, and each precision of the weights
PRECISIONS = {
    "vae_2": "int8", "mlp_2": "float16", "superres_64": "int8", "cae_batch_norm": "float32", "cae_leaky_02": "int8",
    "conv_ae": "float16", "compress_transposed": "int8", "compress_bilinear": "float32", "ae_2": "float16",
    "conv_bn_64": "int8", "upsampled": "int8", "vae_40_binary": "float16",
}  # fmt: skip
UPSAMPLED = {
    "source": "S", "training": "cae", "family": "upsampled_cae", "downsampling": 1, "input_noise": None,
    "channels": [4, 6, 8], "kernel_sizes": [3, 5, 3], "latent_dim": 5, "batch_norm": True, "negative_slope": 0.1,
    "loss": "mse", "upsampling": "bilinear",
}  # fmt: skip
BOARD = pd.DataFrame({"variant": ["vae_2", "pca_2"], "latent_dim": [2, 2], "test_mse": [0.04, 0.055]})
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"


def blobs(num: int, shape: tuple[int, int, int], seed: int, labelled: bool) -> Images:
    """Soft blots, bright on black."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand((num, shape[0], 5, 5), generator=generator)
    fine = torch.nn.functional.interpolate(coarse, size=shape[1:], mode="bilinear")
    labels = torch.arange(num) % 3 if labelled else None
    return Images(((fine - 0.5).clamp(0, 0.4) * 2.5 * 255).round() / 255, labels)


def splits(shape: tuple[int, int, int], classes: list[str]) -> Splits:
    train, validation, test = (blobs(num, shape, num, bool(classes)) for num in (90, 10, 60))
    return Splits(train, validation, test, classes)


def model_of(name: str, shape: tuple[int, int, int] = GREY) -> TrainedModel:
    """An untrained model whose normalisations have seen images, and whose outputs differ from image to image."""
    variant = Variant.model_validate(UPSAMPLED) if name == "upsampled" else PROJECT.variant(name)
    model = models.build(variant, shape, 0).train()
    with torch.no_grad():
        for weight in model.parameters():
            weight *= 3 if weight.dim() > 1 else 1
        model(data.degrade(blobs(64, shape, 5, labelled=False).images, variant.downsampling))
    model.eval().requires_grad_(False)
    return TrainedModel(name, variant, shape, {"name": name}, check.measure_code(model, variant, shape), model, CPU)


def made(folder: Path, names: list[str], content: Splits, kind: str, precisions: dict[str, str]) -> dict[str, Any]:
    """A page, and what was packed for it, by variant."""
    entries, entry = {}, explorer.entry
    with pytest.MonkeyPatch.context() as patch:

        def noted(name: str, *rest: Any) -> explorer.Entry:
            patch.setattr(explorer, "PRECISIONS", (precisions.get(name, "int8"),))
            entries[name] = entry(name, *rest)
            return entries[name]

        patch.setattr(explorer, "entry", noted)
        page, shown = explorer.explorer(kind, kind, content, [model_of(name, content.shape) for name in names], BOARD)
    assert sorted(shown) == sorted(names)
    (folder / "page.html").write_text(page, encoding="utf-8")
    return {"path": folder / "page.html", "text": page, "entries": entries, "content": content}


@pytest.fixture(scope="module")
def grey(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    content = splits(GREY, ["round", "<b>&amp;", "ünï"])
    return made(tmp_path_factory.mktemp("grey"), list(PRECISIONS), content, "mnist", PRECISIONS)


@pytest.fixture(scope="module")
def colour(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return made(tmp_path_factory.mktemp("colour"), ["mlp_8", "cae_latent_8"], splits(COLOUR, []), "folder", {})


@contextmanager
def ready(chromium: Any, page: dict[str, Any], state: str = "", **options: Any) -> Iterator[Any]:
    """The page when it has begun."""
    with opened(chromium, page["path"], state, reduced_motion="reduce", **options) as tab:
        tab.locator("html[data-ready='1']").wait_for(state="attached")
        yield tab


def settled(tab: Any) -> dict[str, Any]:
    """The state, after what is shown has followed it."""
    tab.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    state: dict[str, Any] = tab.evaluate("state")
    return state


def shown_image(tab: Any, canvas: str) -> np.ndarray:
    """The pixels of a canvas, (height, width, 4)."""
    script = """(id) => { const canvas = document.querySelector(id), {width, height} = canvas;
        const copy = Object.assign(document.createElement("canvas"), {width, height}).getContext("2d");
        copy.drawImage(canvas, 0, 0);
        return [height, width, [...copy.getImageData(0, 0, width, height).data]]; }"""
    height, width, values = tab.evaluate(script, canvas)
    return np.array(values).reshape(height, width, 4)


def computed(tab: Any, name: str, image: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Code and reconstruction of an image by the page."""
    script = """([name, image]) => { const code = encode(name, Float32Array.from(image));
        return [[...code], [...decode(name, code)]]; }"""
    code, output = tab.evaluate(script, [name, image.flatten().tolist()])
    return np.array(code), np.array(output)


def expected(page: dict[str, Any], name: str, image: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The same by ONNX Runtime, with the weights that are in the page."""
    entry = page["entries"][name]
    downsampling = image.shape[-1] // entry.about["inputShape"][-1]
    code = in_onnxruntime(entry.encoder.rounded)(data.degrade(image[None], downsampling).numpy())
    return code.ravel(), in_onnxruntime(entry.decoder.rounded)(code).ravel()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["grey", "colour"])
def test_the_page_computes_what_onnx_runtime_computes(kind, chromium, request):
    page = request.getfixturevalue(kind)
    with ready(chromium, page) as tab:
        for name in page["entries"]:
            for image in page["content"].test.images[:3]:
                for found, wanted in zip(computed(tab, name, image), expected(page, name, image), strict=True):
                    assert found.shape == wanted.shape
                    assert np.abs(found - wanted).max() < 2e-5 * max(1, np.abs(wanted).max()), name


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["mnist", "fashion_mnist"])
def test_the_page_in_git_computes_what_its_models_do(dataset, chromium):
    path = ROOT / paths.reports(dataset).explorer
    board = pd.read_csv(ROOT / paths.reports(dataset).leaderboard, index_col="variant")["test_mse"]
    script = """(every) => NAMES.map((name) => {
        const {dots, order, low, high} = VARIANTS[name], errors = [], offs = [];
        for (let i = 0; i < META.numImages; i += every) {
            const image = testImage(i), code = encode(name, image);
            errors.push(mse(decode(name, code), image));
            order.slice(0, 2).forEach((n, axis) => offs.push(Math.abs(code[n] - dots[i][axis]) / (high[n] - low[n])));
        }
        return [name, errors.reduce((a, b) => a + b) / errors.length, Math.max(...offs)];
    })"""
    with ready(chromium, {"path": path}, viewport={"width": 1440, "height": 900}) as tab:
        for name, error, off in tab.evaluate(script, 4):
            # of 50 images for 10,000; and the codes were computed with weights that are not rounded
            assert error == pytest.approx(board[name], rel=0.25), name
            assert off < 0.05, name
        before = settled(tab)
        tab.locator("#plane").click(position={"x": 90, "y": 60})
        assert settled(tab)["test"] != before["test"]
        assert faults_for_readers(tab) == []


@pytest.mark.slow
def test_the_page_needs_nothing_else_and_no_name_in_it_is_taken_as_html(grey):
    text = grey["text"]
    assert text.count(f'content="{POLICY}"') == 1
    assert {*re.findall(r"https?://[^\s\"'<]+", text)} == {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xhtml"}
    assert not re.search(r"<(link|img|iframe)|\bsrc=|@import|url\(|fetch\(|eval\(", text)
    assert "<b>&amp;" not in text  # the name of a class
    meta = json.loads(re.search(r'id="meta">(.*?)</script>', text)[1])
    assert meta["classes"] == ["round", "<b>&amp;", "ünï"]
    assert {each["name"]: each["precision"] for each in meta["variants"]} == PRECISIONS
    assert [each["latentDim"] for each in meta["variants"]] == sorted(each["latentDim"] for each in meta["variants"])


@pytest.mark.slow
def test_pointing_drawing_and_choosing(grey, chromium):
    with ready(chromium, grey, viewport={"width": 1440, "height": 900}) as tab:
        assert faults_for_readers(tab) == []
        assert tab.evaluate("state.variant") == "vae_2"
        # the plane: what is under the pointer is decoded, a click takes the nearest image
        before = shown_image(tab, "#decoded")
        tab.locator("#plane").hover(position={"x": 90, "y": 60})
        x, y = map(float, settled(tab)["at"].split(","))
        about = grey["entries"]["vae_2"].about
        code = np.zeros(2, np.float32)
        code[about["order"]] = x, y
        wanted = in_onnxruntime(grey["entries"]["vae_2"].decoder.rounded)(code[None])[0, 0]
        after = shown_image(tab, "#decoded")
        assert np.abs(after[..., 0] - 255 * wanted).max() <= 1
        assert (before != after).any()
        tab.locator("#plane").click(position={"x": 300, "y": 200})
        settled(tab)
        assert (shown_image(tab, "#input") == shown_image(tab, "#nearest")).all()
        # drawn: the image is framed as that of a picture, and every variant has it
        pad = tab.locator("#pad")
        pad.scroll_into_view_if_needed()
        box = pad.bounding_box()
        scale = box["width"] / 280
        points = [(60, 40), (200, 50), (110, 240)]
        tab.mouse.move(*(box[side] + scale * value for side, value in zip("xy", points[0], strict=True)))
        tab.mouse.down()
        for point in points[1:]:
            tab.mouse.move(*(box[side] + scale * value for side, value in zip("xy", point, strict=True)), steps=5)
        tab.mouse.up()
        assert settled(tab)["drawing"].startswith("-60.40.")
        ink = shown_image(tab, "#pad")[..., 0].astype(np.float32) / 255
        framed, _ = drawing.framed(ink)
        assert np.abs(shown_image(tab, "#input")[..., 0] / 255 - framed).mean() < 0.003
        drawn = torch.tensor(tab.evaluate("[...clean()]")).reshape(GREY)
        for card in tab.locator(".card").all():
            name = card.get_attribute("data-variant")
            _, output = expected(grey, name, drawn)
            said = float(card.locator(".mse").inner_text().split()[-1])
            assert said == pytest.approx(np.square(output - drawn.numpy().ravel()).mean(), rel=0.01)
        # a point of the chart is the variant; then all parts are about it
        tab.locator("#chart [data-variant=conv_bn_64]").click()
        assert settled(tab)["variant"] == "conv_bn_64"
        assert "conv_bn_64" in tab.locator("#plane-text").inner_text()
        assert tab.locator(".card.chosen button").inner_text() == "conv_bn_64"
        assert tab.locator("#numbers input").count() == 12
        # the state is in the address, and comes back with it
        tab.wait_for_timeout(400)
        state, hash_ = tab.evaluate("[state, location.hash.slice(1)]")
        with ready(chromium, grey, hash_) as other:
            assert other.evaluate("state") == state
        tab.locator("#reset").click()
        assert settled(tab) == tab.evaluate("START")


@pytest.mark.slow
def test_noise_bits_numbers_and_ways(grey, chromium):
    with ready(chromium, grey, "variant=cae_leaky_02&test=4") as tab:
        image = grey["content"].test.images[explorer._shown(grey["content"].test, 3)[4]]
        for other in ("mlp_2", "ae_2"):
            tab.evaluate("(name) => document.querySelector(`#ticks input[value=${name}]`).click()", other)
            settled(tab)
            assert not tab.locator(f".card[data-variant={other}]").is_visible()
        tab.locator("#bits").fill("3")
        settled(tab)
        code, _ = computed(tab, "cae_leaky_02", image)
        stored = np.array(tab.evaluate("[...codeOf('cae_leaky_02')]"))
        about = grey["entries"]["cae_leaky_02"].about
        low, high = np.array(about["low"]), np.array(about["high"])
        assert stored == pytest.approx(
            low + np.round(np.clip((code - low) / (high - low), 0, 1) * 7) * (high - low) / 7, abs=1e-4
        )
        assert "32 numbers, 12 bytes" in tab.locator(".card[data-variant=cae_leaky_02] .bits").inner_text()
        tab.locator("#noise").fill("0.4")
        settled(tab)
        noisy = np.array(tab.evaluate("[...input()]"))
        assert 0.1 < (noisy - image.numpy().ravel())[image.numpy().ravel() > 0.5].std() < 0.5
        assert (noisy.min(), noisy.max()) == (0, 1)
        assert tab.evaluate("[...clean()]") == pytest.approx(image.flatten().tolist())
        # a number of the code by its slider, with the keyboard
        first = tab.locator("#numbers input").first
        first.focus()
        first.press("End")
        state = settled(tab)
        number, value = state["turned"].split(":")
        assert int(number) == about["order"][0] == np.argmax(_carried(grey, "cae_leaky_02"))
        assert float(value) == pytest.approx(1.1 * high[int(number)] - 0.1 * low[int(number)], rel=0.02, abs=0.02)
        first.press("Backspace")
        assert settled(tab)["turned"] == ""
        # the ways begin and end at the reconstructions, and in the middle they are what latentlab computes
        tab.locator("#way").fill("0.25")
        settled(tab)
        a, b = (
            torch.tensor(tab.evaluate(f"[...encode('cae_leaky_02', testImage(state.{end}))]"))[None]
            for end in ("first", "second")
        )
        for name, wanted in (("linear", a.lerp(b, 0.25)), ("spherical", spherical(a, b, 0.25))):
            output = in_onnxruntime(grey["entries"]["cae_leaky_02"].decoder.rounded)(wanted.numpy())[0, 0]
            assert np.abs(shown_image(tab, f"#at-{name}")[..., 0] - 255 * output).max() <= 1
        for preset in tab.locator("#preset option").all_inner_texts()[1:]:
            tab.locator("#preset").select_option(preset)
            settled(tab)
        tab.locator("#sample").click()
        assert re.fullmatch(r"\w+:\d+", settled(tab)["sample"])


def _carried(page: dict[str, Any], name: str) -> np.ndarray:
    codes = model_of(name).encode(page["content"].train.images).flatten(1)
    return explorer._carried(model_of(name), page["content"].test.images[:16], codes.mean(0), np.arange(codes.shape[1]))


@pytest.mark.slow
def test_keys_touch_and_images_in_colour_without_classes(colour, chromium):
    with ready(chromium, colour, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True) as tab:
        assert tab.evaluate("document.documentElement.scrollWidth") == 390
        assert "two that carry the most" in tab.locator("#plane-text").inner_text()
        assert "class" not in tab.locator("main").inner_text()
        tab.locator("#plane").tap(position={"x": 50, "y": 60})
        touched = settled(tab)["at"]
        tab.locator("#plane").press("ArrowRight")
        assert settled(tab)["at"] != touched
        tab.locator("#strip").focus()
        tab.locator("#strip").press("ArrowRight")
        index = settled(tab)["test"]
        wanted = (255 * colour["content"].test.images[index]).round().permute(1, 2, 0).numpy()
        assert (shown_image(tab, "#input")[..., :3] == wanted).all()
        tab.locator("#pad").focus()
        for key in (" ", "ArrowDown", "ArrowDown", " "):
            tab.locator("#pad").press(key)
        assert settled(tab)["drawing"] == "-140.140.140.148.140.156"
        assert shown_image(tab, "#input")[10, 10, 0] > 128
        tab.evaluate("location.hash = '#variant=nothing&test=-3&bits=x&noise=9&at=a,b&turned=1:x,99:2&drawing=q.w'")
        state = settled(tab)
        assert (state["variant"], state["test"], state["bits"], state["noise"]) == ("mlp_8", 0, 9, 1)


def test_what_is_in_the_page_unless_asked_for():
    names = ["cae_latent_2", "mlp_2", "vae_2", "cae_latent_8", "mlp_8", "cae_baseline", "cae_batch_norm", "conv_ae"]
    errors = {"mlp_2": 3, "vae_2": 2, "cae_latent_2": 1, "cae_baseline": 2, "cae_batch_norm": 1}
    ordered = [model.name for model in explorer.in_order([model_of(name) for name in names], errors)]
    # of 8 numbers no error is known: as they stand
    assert ordered == ["cae_latent_2", "cae_latent_8", "cae_batch_norm", "conv_ae", "vae_2", "mlp_8", "mlp_2"]


def test_what_does_not_fit_is_left_out(monkeypatch):
    models_ = [model_of(name) for name in ("cae_latent_2", "mlp_2", "vae_2", "cae_latent_8")]
    content = splits(GREY, ["a", "b", "c"])
    generator = np.random.default_rng(0)

    def entry(name: str, model: TrainedModel, *_: Any) -> explorer.Entry:
        about = {"name": name, "latentDim": model.code_shape.numel()}
        empty = packing.Packed([], b"", None)
        return explorer.Entry(about, generator.bytes(100_000), empty, empty)

    monkeypatch.setattr(explorer, "entry", entry)
    page, names = explorer.explorer("mnist", "mnist", content, models_, BOARD, 400_000)
    assert len(page.encode()) <= 400_000
    assert names == ["cae_latent_2", "vae_2"]  # an MLP has more weights than there is room for; then it is full
    _, names = explorer.explorer("mnist", "mnist", content, models_, BOARD)
    assert names == ["cae_latent_2", "mlp_2", "vae_2", "cae_latent_8"]
    monkeypatch.setattr(explorer, "MOST_VARIANTS", 3)
    assert len(explorer.explorer("mnist", "mnist", content, models_, BOARD, explorer.MOST_BYTES)[1]) == 3
