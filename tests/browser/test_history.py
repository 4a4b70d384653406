"""Older states of an image: looked at, compared with now, restored, and the restoring undone."""

import os
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.drawing import Picture, rectangle_mask, wait_until_saved
from tests.browser.editor import Work, open_editor
from tests.live import LiveApp


def shot(page: Page, name: str) -> None:
    if folder := os.environ.get("SHOTS"):
        page.screenshot(path=str(Path(folder) / f"{name}.png"))


def test_an_older_state_is_looked_at_and_restored(live_app: LiveApp, open_page: OpenPage) -> None:
    work = Work.make(live_app, "semantic")
    page = open_page()
    open_editor(page, work.image)
    page.locator(".history .section-title").click()
    steps = page.locator(".history .step")
    expect(page.locator(".history")).to_contain_text("Nothing is saved yet.")
    shot(page, "empty")

    sheet = Picture.fitted(page, *work.size)
    page.keyboard.press("r")
    first = rectangle_mask(sheet.drag([(20, 20), (90, 80)]), *work.size)
    wait_until_saved(page)
    expect(steps).to_have_count(1)
    second = rectangle_mask(sheet.drag([(60, 60), (200, 200)]), *work.size)
    wait_until_saved(page)
    expect(steps).to_have_count(2)
    work.check([first | second])

    page.keyboard.press("Alt+,")
    banner = page.locator(".looking-back")
    expect(banner).to_contain_text("after owner’s change")
    expect(page.locator(".compare-layer")).to_be_visible()
    shot(page, "looking")
    page.get_by_role("button", name="Overlay").click()
    pixels = int((second & ~first).sum())
    expect(page.locator(".compare-legend")).to_contain_text(f"Only here {pixels:,} px")
    shot(page, "overlay")
    page.keyboard.press("Alt+r")
    expect(banner).to_have_count(0)
    wait_until_saved(page)
    work.check([first])
    expect(steps).to_have_count(3)
    expect(steps.first).to_contain_text("restore")

    page.keyboard.press("Control+z")
    wait_until_saved(page)
    work.check([first | second])
    expect(steps).to_have_count(4)

    # A deleted region comes back alone; by the keyboard in the list itself.
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    wait_until_saved(page)
    expect(steps).to_have_count(5)
    steps.first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Restore only").click()
    wait_until_saved(page)
    work.check([first | second])
    assert np.asarray([one["version"] for one in work.regions()]).tolist() == [6]
    page.keyboard.press("Alt+,")
    expect(banner).to_be_visible()
    page.keyboard.press("Escape")
    expect(banner).to_have_count(0)
    shot(page, "after")
