"""How long a click waits for its mask when Chromium decodes.

    script/bench clicks [--weights FILE] [--images 4] [--clicks 20]

Without --weights the model is the official ViT-B with random numbers, and embeddings are random
too, both smooth, so that masks are in large pieces as those of trained weights: the decoder takes
the same time for any, their RLE does not. A fresh server gets the model, images of 1600 × 1200
pixels and their embeddings; the editor opens one after the other, as annotators go through them,
and clicks it with a real mouse. "First" is the first click after an image was opened and its
embedding had come, "later" is every other one; both from the request to the decoder's worker to its
answer, RLE included. "Processor" is what the tab's process computed for a later click on all
threads, its share of drawing included: it says more than the clock where other programs run.
"""

import argparse
import io
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

WIDTH, HEIGHT = 1600, 1200
LOOKS = 300
"""Milliseconds from a mask to the next click: nobody clicks before the mask was drawn, which takes
up to 100 ms of the processor where there are no graphics."""
LISTEN = """
window.waits = [];
const post = Worker.prototype.postMessage;
Worker.prototype.postMessage = function (message, ...rest) {
  if (message && message.do === "segment") {
    const start = performance.now();
    const heard = ({ data }) => {
      if (data.id !== message.id) return;
      window.waits.push(data.error ? data.error : performance.now() - start);
      this.removeEventListener("message", heard);
    };
    this.addEventListener("message", heard);
  }
  return post.call(this, message, ...rest);
};
"""


def store() -> None:
    """Within the server's environment: the decoder and an embedding of every image."""
    import django
    from scipy.ndimage import zoom

    django.setup()
    from annotations.models import Image
    from inference.engines.base import Embedding
    from inference.models import ModelVersion
    from inference.selectors import installed_models
    from inference.services import decoders, embeddings
    from inference.services.loading import engine_of

    model: ModelVersion = installed_models("prompt")[0]
    engine = engine_of(model)
    decoders.keep(model, engine)
    random = np.random.default_rng(0)
    side = model.config["image_size"]
    seen = np.array([side * HEIGHT // WIDTH, side], np.int32)
    grid = side // model.config["patch"]
    for image in Image.objects.select_related("file"):
        coarse = random.normal(size=(model.config["out"], grid // 8, grid // 8))
        features = zoom(coarse, (1, 8, 8), order=1).astype(np.float16)
        made = Embedding({"features": features, "input": seen}, (image.height, image.width))
        embeddings.write(image, model, made)
    print(f"{model.config['variant']}, an embedding {len(embeddings.pack(made)) / 1e6:.2f} MB")


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, help="in the official layout")
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--clicks", type=int, default=20, help="for each image")
    options = parser.parse_args(arguments)

    from playwright.sync_api import expect, sync_playwright

    from tests.browser.conftest import CHROMIUM, FLAGS
    from tests.browser.drawing import Picture
    from tests.live import LiveApp
    from tests.servers import wait_until

    random = np.random.default_rng(0)
    app = LiveApp()
    first, later, computed = list[float](), list[float](), list[float]()
    try:
        (app.data / "models").mkdir()
        target = app.data / "models" / "clicks.pth"
        if options.weights:
            target.symlink_to(options.weights.resolve())
        else:
            random_vit_b(target)
        app.prepare()
        app.manage("list_models")
        app.start_web()
        api = app.api()
        project = api.project("instance")["id"]
        files = {f"{number}.png": noise(random) for number in range(options.images)}
        images = [one["id"] for one in api.upload(project, files)]
        made = subprocess.run(
            [sys.executable, "-m", "bench.clicks", "store"],
            env=app.environment | {"DJANGO_SETTINGS_MODULE": "labeler.settings"},
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        print(made.stdout.strip())
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            context = browser.new_context(base_url=app.url, viewport={"width": 1440, "height": 900})
            session = app.people["owner"].session
            context.add_cookies([{"name": "sessionid", "value": session, "url": app.url}])
            context.add_init_script(LISTEN)
            page = context.new_page()
            page.goto(f"/images/{images[0]}/edit")
            for image in images:
                if image != images[0]:
                    page.keyboard.press("PageDown")
                    page.wait_for_url(f"**/images/{image}/edit")
                    page.evaluate("window.waits = []")
                sheet = Picture.fitted(page, WIDTH, HEIGHT)
                state = page.locator("[data-decoder]")
                expect(state).to_have_attribute("data-decoder", "here", timeout=120_000)
                page.keyboard.press("a")
                begun = 0.0
                for number in range(options.clicks):
                    x, y = random.uniform(0.2, 0.8, 2)
                    sheet.click((int(x * WIDTH), int(y * HEIGHT)))
                    wait_until(
                        lambda: page.evaluate("window.waits.length") > number,  # noqa: B023 (called at once)
                        f"answer {number + 1}",
                        seconds=60,
                    )
                    page.wait_for_timeout(LOOKS)
                    if number == 0:
                        begun = tab_seconds()
                    if number % 5 == 4:
                        page.keyboard.press("Escape")
                waits = page.evaluate("window.waits")
                first.append(waits[0])
                later += waits[1:]
                computed.append(1000 * (tab_seconds() - begun) / len(waits[1:]))
            version = browser.version
            isolated = page.evaluate("crossOriginIsolated")
            browser.close()
    finally:
        app.stop()
    print(f"Chromium {version}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
          f"{'threads' if isolated else 'one thread'}")  # fmt: skip
    for name, waits in (("first", first), ("later", later)):
        p50, p99 = np.percentile(waits, [50, 99])
        print(f"{name:6} {len(waits):4} clicks, ms p50 {p50:.0f}  p99 {p99:.0f}  "
              f"least {min(waits):.0f}")  # fmt: skip
    print(f"processor, ms a later click: {', '.join(f'{one:.0f}' for one in computed)}")
    return 0


def tab_seconds() -> float:
    """Processor time of all threads of this program's browser tabs so far."""
    ticks = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            if b"--type=renderer" in command and _mine(int(folder.name)):
                stat = (folder / "stat").read_text().rpartition(")")[2].split()
                ticks += int(stat[11]) + int(stat[12])
        except OSError:
            continue
    return ticks / os.sysconf("SC_CLK_TCK")


def _mine(pid: int) -> bool:
    while pid > 1:
        if pid == os.getpid():
            return True
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return False


def random_vit_b(path: Path) -> None:
    import torch
    from segment_anything import sam_model_registry

    torch.manual_seed(0)
    model = sam_model_registry["vit_b"]()
    with torch.no_grad():
        for layer in model.mask_decoder.output_upscaling:
            if isinstance(layer, torch.nn.ConvTranspose2d):  # the same for each of its 2 × 2 pixels
                layer.weight.copy_(layer.weight.mean((2, 3), keepdim=True).expand_as(layer.weight))
    torch.save(model.state_dict(), path)


def noise(random: np.random.Generator) -> bytes:
    """A PNG of coarse random colours."""
    coarse = random.integers(0, 255, (HEIGHT // 50, WIDTH // 50, 3), np.uint8)
    buffer = io.BytesIO()
    Pillow.fromarray(coarse).resize((WIDTH, HEIGHT)).save(buffer, "PNG")
    return buffer.getvalue()


if __name__ == "__main__":
    if sys.argv[1:] == ["store"]:
        store()
    else:
        sys.exit(main(sys.argv[1:]))
