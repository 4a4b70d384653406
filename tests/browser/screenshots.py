"""Pictures of the main pages, taken from the demo: `python -m tests.browser.screenshots FOLDER`."""

import io
import json
import subprocess
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, ViewportSize, sync_playwright

from tests.browser.conftest import CHROMIUM, FLAGS
from tests.live import LiveApp

MAX_BYTES = 400_000
SCENES = "Outdoor scenes"
THINGS = "People, animals and things"
COUNTED = "Coins, cells and craters"


def log_in(page: Page, app: LiveApp, username: str) -> None:
    page.goto(f"{app.url}/login")
    page.fill("input[name=username]", username)
    page.fill("input[name=password]", (app.data / "demo_login").read_text().strip())
    page.keyboard.press("Enter")
    page.wait_for_url(f"{app.url}/")


def project_address(page: Page, app: LiveApp, name: str) -> str:
    page.goto(app.url)
    return app.url + str(page.get_by_role("link", name=name).first.get_attribute("href"))


def image_numbers(page: Page, project: str) -> dict[str, int]:
    """The images of a project, by name."""
    number = project.rpartition("/")[2]
    reply = page.request.get(f"{project.rpartition('/projects/')[0]}/api/projects/{number}/images")
    return {image["name"]: image["id"] for image in reply.json()["results"]}


def save(page: Page, path: Path) -> None:
    """The page as a PNG of at most MAX_BYTES: with a palette where all colours need more."""
    page.mouse.move(700, 880)  # away from buttons, which say what they do
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    for colors in (0, 256, 192, 128, 96, 64):
        buffer = io.BytesIO()
        # Maximum coverage keeps the few pixels of a button or a category in their own colour.
        small = (
            picture.quantize(colors, Image.Quantize.MAXCOVERAGE, kmeans=1) if colors else picture
        )
        small.save(buffer, "PNG", optimize=True)
        if buffer.tell() <= MAX_BYTES:
            break
    path.write_bytes(buffer.getvalue())
    print(f"{path}: {buffer.tell() // 1000} kB, {colors or 'all'} colours")


def people(page: Page, app: LiveApp, project: str, folder: Path) -> None:
    """Who is there, and what they and their programs are told."""
    page.goto(f"{app.url}/notifications")
    save(page, folder / "notifications.png")
    page.goto(f"{app.url}/people")
    save(page, folder / "people.png")
    page.goto(f"{app.url}/teams")
    page.fill("input[name=name]", "Early shift")
    page.get_by_role("button", name="Make the team").click()
    for person in ("ana", "rita"):
        page.fill("input[name=username]", person)
        page.get_by_role("button", name="Put in").click()
        page.get_by_role("cell", name=person).wait_for()
    save(page, folder / "team.png")
    page.goto(f"{project}/webhooks")
    page.fill("input[name=url]", "https://builds.example.org/labels")
    page.get_by_role("button", name="Add").click()
    page.get_by_text("secret").first.wait_for()
    page.goto(f"{project}/webhooks")
    save(page, folder / "webhooks.png")


def edit(page: Page, app: LiveApp, image: int, path: Path, proposals: bool) -> None:
    page.goto(f"{app.url}/images/{image}/edit")
    page.get_by_role("button", name=" proposals").first.wait_for()
    page.wait_for_load_state("networkidle")
    other = page.get_by_role("button", name=f"{'Show' if proposals else 'Hide'} proposals")
    if other.count():  # the editor remembers what was chosen before
        other.click()
    page.wait_for_timeout(1500)  # textures are uploaded and drawn
    save(page, path)


def quality(folder: Path) -> None:
    """The dashboards, of the simulated team's work on drawn pictures."""
    app = LiveApp()
    try:
        app.prepare()
        command = [sys.executable, "-m", "bench.simulate_team", "--images", "18", "--drawings"]
        subprocess.run([*command, "--keep", str(app.data)], env=app.environment, check=True)
        dashboards(app, folder)
    finally:
        app.stop()


def dashboards(app: LiveApp, folder: Path) -> None:
    """Of the project that the simulated team left in `app`."""
    app.manage("shell", "-c", RELEASE)
    person = json.loads(
        subprocess.run(
            [sys.executable, "-m", "tests.people", "viewer"],
            env=app.environment, check=True, capture_output=True, text=True,
        ).stdout
    )[0]  # fmt: skip
    app.manage("shell", "-c", VIEWER)
    app.start_web()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        size: ViewportSize = {"width": 1440, "height": 1100}
        context = browser.new_context(viewport=size)
        context.add_cookies([{"name": "sessionid", "value": person["session"], "url": app.url}])
        page = context.new_page()
        project = project_address(page, app, "Street and table")
        for name in ("", "models", "agreement", "gold", "suspects"):
            page.goto(f"{project}/quality/{name}".rstrip("/"))
            save(page, folder / f"quality-{name or 'work'}.png")
        page.goto(f"{project}/work")
        save(page, folder / "work.png")
        page.goto(f"{project}/review")
        page.get_by_role("button", name="Start reviewing").click()
        page.get_by_role("button", name="Approve").wait_for()
        page.locator(".history .section-title").click()
        page.locator(".history .step").first.wait_for()
        page.keyboard.press("Alt+x")
        page.locator(".compare-layer").wait_for()
        save(page, folder / "editor-review.png")
        page.goto(f"{app.url}/releases/1/quality")
        page.emulate_media(media="print")
        save(page, folder / "quality-release.png")
        browser.close()


RELEASE = """
from annotations.models import Project
from annotations.selectors.exports import Rule
from annotations.services import releases
project = Project.objects.get()
releases.make_release(project, Rule("submitted"), project.created_by, name="v1")
"""
VIEWER = """
from annotations.models import Membership, Project, User
Membership.objects.create(
    project=Project.objects.get(), user=User.objects.get(username="viewer"), role="owner"
)
"""


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    quality(folder)
    app = LiveApp(WEBHOOK_HOSTS="builds.example.org")
    try:
        app.prepare()
        app.manage("demo")
        app.start_web()
        app.start_worker("interactive")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            size: ViewportSize = {"width": 1440, "height": 900}
            page = browser.new_context(viewport=size).new_page()
            log_in(page, app, "demo")
            save(page, folder / "projects.png")
            scenes = project_address(page, app, SCENES)
            for name in ("prelabel", "settings", "export", "members", "jobs"):
                page.goto(f"{scenes}/{name}")
                save(page, folder / f"{name}.png")
            page.goto(f"{scenes}?labels=1")
            save(page, folder / "images.png")
            page.goto(f"{app.url}/models")
            save(page, folder / "models.png")
            people(page, app, scenes, folder)
            annotator = browser.new_context(viewport=size).new_page()
            log_in(annotator, app, "ana")
            for project, image, name, proposals in (
                (THINGS, "astronaut.png", "editor-panoptic", False),
                (COUNTED, "coins.png", "editor-instance", True),
                (SCENES, "rocket.jpg", "editor-semantic", False),
            ):
                address = project_address(annotator, app, project)
                number = image_numbers(annotator, address)[image]
                edit(annotator, app, number, folder / f"{name}.png", proposals)
            reviewer = browser.new_context(viewport=size).new_page()
            log_in(reviewer, app, "rita")
            things = project_address(reviewer, app, THINGS)
            reviewer.goto(f"{things}/review")
            save(reviewer, folder / "review.png")
            browser.close()
    finally:
        app.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
