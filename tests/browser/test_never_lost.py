"""Strokes of a real mouse meet what goes wrong; the server must have every pixel once."""

import os
import signal
import uuid
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from pycocotools import mask as coco_mask

from tests.browser.conftest import CHROMIUM, FLAGS, Console, OpenPage
from tests.browser.drawing import Mask, Picture, stroke_mask, wait_until_saved
from tests.browser.editor import Work, open_editor, region_mask
from tests.live import LiveApp
from tests.servers import wait_until

WIDTH, HEIGHT = 320, 240
RADIUS = 12
"""Image pixels: the brush of a new browser."""
STROKES = [
    [(30, 40), (90, 40), (90, 90)],
    [(150, 60), (280, 60)],
    [(40, 180), (120, 150), (200, 200)],
]


@pytest.fixture
def work(live_app: LiveApp) -> Work:
    """A semantic image: a stroke of each of three categories."""
    names = ("ground", "water", "sky")
    return Work.make(
        live_app,
        "semantic",
        categories=[
            {"name": name, "color": f"#{index}{index}8040", "hotkey": str(index + 1)}
            for index, name in enumerate(names)
        ],
    )


def brush(page: Page, number: int) -> Mask:
    """The stroke of that number, in the category of the same number."""
    sheet = Picture.fitted(page, WIDTH, HEIGHT)
    page.keyboard.press(str(number + 1))
    page.keyboard.press("b")
    return stroke_mask(sheet.drag(STROKES[number]), RADIUS, WIDTH, HEIGHT)


def check(work: Work, drawn: dict[int, Mask]) -> None:
    """The server has one region for each category that was drawn, pixel for pixel, and no more."""
    numbers = {one["id"]: index for index, one in enumerate(work.api.categories(work.project))}
    regions = work.regions()
    found = {numbers[one["category"]]: region_mask(one, work.size) for one in regions}
    assert len(regions) == len(found)
    assert found.keys() == drawn.keys()
    for number, mask in drawn.items():
        assert (found[number] != mask).sum() == 0, f"stroke {number} differs"


def write(work: Work, uuid_: str, mask: Mask, based_on: int, category: int) -> None:
    """What a program with this person's token saves."""
    rle = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    work.api.post(
        f"annotations/{work.api.annotation(work.image)['id']}/patches",
        {
            "writes": [
                {
                    "op": "upsert",
                    "region": uuid_,
                    "based_on": based_on,
                    "key": str(uuid.uuid4()),
                    "category": category,
                    "mask": {"size": [HEIGHT, WIDTH], "counts": rle["counts"].decode()},
                }
            ]
        },
    )


def test_strokes_go_on_while_the_server_is_down(
    work: Work, live_app: LiveApp, open_page: OpenPage, console: Console
) -> None:
    console.allow("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE")
    page = open_page()
    open_editor(page, work.image)
    drawn = {0: brush(page, 0)}
    live_app.kill("web")
    try:
        drawn[1] = brush(page, 1)
        expect(page.locator(".save-state")).to_contain_text("kept here")
        drawn[2] = brush(page, 2)
    finally:
        live_app.start_web()
    wait_until_saved(page)
    check(work, drawn)
    open_editor(page, work.image)
    check(work, drawn)


class OwnBrowser:
    """A browser with a profile of its own, which survives its end."""

    def __init__(self, browser: Browser, app: LiveApp, profile: Path) -> None:
        self.browser, self.app, self.profile = browser, app, profile

    def start(self) -> tuple[BrowserContext, Page]:
        context = self.browser.browser_type.launch_persistent_context(
            self.profile,
            executable_path=CHROMIUM,
            args=FLAGS,
            base_url=self.app.url,
            viewport={"width": 1440, "height": 900},
        )
        session = self.app.people["owner"].session
        context.add_cookies([{"name": "sessionid", "value": session, "url": self.app.url}])
        return context, context.pages[0]

    def kill(self) -> None:
        """SIGKILL to all of its processes: nothing gets to say good-bye."""
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                command = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if b"--user-data-dir=" + os.fsencode(self.profile) in command:
                os.kill(int(folder.name), signal.SIGKILL)


def test_a_browser_killed_in_the_middle_of_a_stroke_keeps_all_before_it(
    work: Work, browser: Browser, live_app: LiveApp, tmp_path: Path
) -> None:
    own = OwnBrowser(browser, live_app, tmp_path / "profile")
    _, page = own.start()
    try:
        open_editor(page, work.image)
        # Nothing reaches the server: only what this browser stored can come back.
        page.route("**/patches", lambda route: route.abort())
        page.route("**/annotations", lambda route: route.abort())
        drawn = {number: brush(page, number) for number in (0, 1)}
        sheet = Picture.fitted(page, WIDTH, HEIGHT)
        page.keyboard.press("3")
        page.mouse.move(*sheet.on_screen(40, 180))
        page.mouse.down()
        page.mouse.move(*sheet.on_screen(120, 150))
    finally:
        own.kill()
    check(work, {})
    context, page = own.start()
    try:
        open_editor(page, work.image)
        wait_until_saved(page)
        expect(page.locator(".regions .item")).to_have_count(2)
        check(work, drawn)
        open_editor(page, work.image)
        check(work, drawn)
    finally:
        context.close()


@pytest.mark.parametrize("keep", ["mine", "theirs"])
def test_what_a_program_saved_meanwhile_is_shown_beside_ones_own(
    work: Work, open_page: OpenPage, console: Console, keep: str
) -> None:
    console.allow("412")
    page = open_page()
    open_editor(page, work.image)
    mine = brush(page, 0)
    wait_until_saved(page)
    (region,) = work.regions()
    theirs = np.zeros((HEIGHT, WIDTH), bool)
    theirs[100:140, 200:300] = True
    write(work, region["uuid"], theirs, region["version"], region["category"])

    sheet = Picture.fitted(page, WIDTH, HEIGHT)
    mine |= stroke_mask(sheet.drag(STROKES[1]), RADIUS, WIDTH, HEIGHT)
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("canvas")).to_have_count(2)
    (found,) = work.masks()
    assert (found != theirs).sum() == 0
    dialog.get_by_role("button", name="Keep mine" if keep == "mine" else "Take theirs").click()
    expect(dialog).to_have_count(0)
    wait_until_saved(page)
    check(work, {0: mine if keep == "mine" else theirs})


def test_two_tabs_that_paint_other_categories_keep_both(
    work: Work, open_page: OpenPage, console: Console
) -> None:
    one = open_page()
    open_editor(one, work.image)
    other = one.context.new_page()
    console.watch(other)
    open_editor(other, work.image)
    drawn = {}
    for page, number in ((one, 0), (other, 1)):
        page.bring_to_front()
        drawn[number] = brush(page, number)
    wait_until_saved(one)
    wait_until_saved(other)
    check(work, drawn)


def test_a_region_that_is_refused_says_which_and_holds_no_other_back(
    work: Work, open_page: OpenPage, console: Console
) -> None:
    console.allow("400", "409")
    page = open_page()
    open_editor(page, work.image)
    sky = work.api.categories(work.project)[2]["id"]
    work.api.delete(f"categories/{sky}")
    brush(page, 2)
    drawn = {0: brush(page, 0), 1: brush(page, 1)}
    expect(page.locator(".save-state")).to_contain_text("Not saved")
    expect(page.locator(".save-state")).to_contain_text("sky")
    wait_until(lambda: len(work.regions()) == len(drawn), "the other regions", seconds=10)
    check(work, drawn)
