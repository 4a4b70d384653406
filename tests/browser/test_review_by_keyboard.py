"""A reviewer works through the queue without a mouse."""

import uuid

from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.editor import Work
from tests.live import LiveApp


def label(app: LiveApp, who: str, image: int, category: int, width: int) -> int:
    """A box from the left, `width` pixels wide, submitted; the annotation's id."""
    api = app.api(who)
    annotation = api.post(f"images/{image}/annotations")["id"]
    ring = [0, 0, width, 0, width, 100, 0, 100]
    write = {
        "op": "upsert", "region": str(uuid.uuid4()), "based_on": 0, "key": str(uuid.uuid4()),
        "category": category, "polygons": [[ring]], "source": "polygon",
    }  # fmt: skip
    api.post(f"annotations/{annotation}/patches", {"writes": [write]})
    api.post(f"annotations/{annotation}/submit", {"revision": 1})
    return annotation


def tab_to(page: Page, words: str) -> None:
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent").strip().startswith(words):
            return
    raise AssertionError(f"Tab never came to {words}")


def opened(page: Page, image: int) -> None:
    page.wait_for_url(f"**/images/{image}/edit**")
    expect(page.get_by_role("button", name="Approve")).to_be_enabled()


def test_three_annotations_are_judged_by_keyboard(live_app: LiveApp, open_page: OpenPage) -> None:
    members = {"reviewer": "reviewer", "annotator": "annotator", "teammate": "annotator"}
    work = Work.make(live_app, "instance", images=3, members=members)
    category = work.api.categories(work.project)[0]["id"]
    first, second, third = (
        label(live_app, "annotator", image, category, 80) for image in work.images
    )
    other = label(live_app, "teammate", work.image, category, 100)

    page = open_page("reviewer")
    page.goto(f"/projects/{work.project}/review")
    tab_to(page, "Start reviewing")
    page.keyboard.press("Enter")
    opened(page, work.images[0])
    layer = page.locator(".compare-layer")
    expect(layer).to_be_hidden()
    page.keyboard.press("Alt+x")
    expect(layer).to_be_visible()
    expect(page.locator(".compare-legend")).to_contain_text("Only there 2,000 px")
    expect(page.locator(".compare")).to_contain_text("80.0 %")
    page.keyboard.press("Alt+n")
    page.keyboard.press("Alt+x")
    expect(layer).to_be_hidden()  # blinking: now this, now the other one
    expect(layer).to_be_visible()
    page.keyboard.press("Alt+x")
    expect(page.get_by_role("button", name="Heat")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Alt+m")
    page.keyboard.type("Too narrow.")
    page.keyboard.press("Enter")
    expect(page.locator(".comments")).to_contain_text("Too narrow.")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+Backspace")
    page.keyboard.type("See the comment.")
    page.keyboard.press("Control+Enter")

    opened(page, work.images[1])
    page.keyboard.press("Alt+k")
    expect(page.locator(".review")).to_contain_text("under your name")
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    expect(page.locator(".regions .badge").first).to_have_text("0")
    page.keyboard.press("Control+Enter")

    opened(page, work.images[2])
    page.keyboard.press("Control+Enter")
    opened(page, work.images[0])  # what the teammate made
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("Nothing else waits for a review.")).to_be_visible()

    lines = work.api.get(f"projects/{work.project}/annotations")["results"]
    assert {line["id"]: line["status"] for line in lines} == {
        first: "sent_back", second: "approved", third: "approved", other: "approved",
    }  # fmt: skip
    corrected = work.api.get(f"annotations/{second}")
    assert corrected["regions"] == []
    assert [one["fixed"] for one in corrected["reviews"]] == [True]
