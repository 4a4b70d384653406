"""Suspicious labels are judged with one key each."""

from typing import Any

from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.editor import Work
from tests.browser.test_review_by_keyboard import label
from tests.live import LiveApp


def test_a_verdict_is_one_key(live_app: LiveApp, open_page: OpenPage) -> None:
    members = {"reviewer": "reviewer", "annotator": "annotator"}
    work = Work.make(live_app, "instance", images=3, members=members)
    category = work.api.categories(work.project)[0]["id"]
    # Of each image one sliver, which needs no other regions to be found.
    made = [label(live_app, "annotator", image, category, width=2) for image in work.images]
    work.api.wait_for_job(work.api.post(f"projects/{work.project}/suspicions")["id"])

    page = open_page("reviewer")
    page.goto(f"/projects/{work.project}/quality/suspects")
    cards = page.locator("[data-suspects] > li")
    expect(cards).to_have_count(3)
    expect(cards.first).to_be_focused()
    expect(cards.first).to_contain_text("nowhere wider than 2 pixels")
    page.keyboard.press("ArrowRight")
    expect(cards.nth(1)).to_be_focused()
    page.keyboard.press("2")
    expect(cards).to_have_count(2)
    expect(cards.nth(1)).to_be_focused()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("1")
    expect(cards).to_have_count(1)
    page.keyboard.press("3")
    expect(cards).to_have_count(0)

    def statuses() -> list[Any]:
        lines = work.api.get(f"projects/{work.project}/annotations")["results"]
        return [{line["id"]: line["status"] for line in lines}[one] for one in made]

    assert sorted(statuses()) == ["sent_back", "submitted", "submitted"]
