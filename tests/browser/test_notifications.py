"""The bell rings in an open page, and the keyboard alone leads to what was sent back."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.live import LiveApp, picture


def bell(page: Page, unread: str):
    return page.get_by_role("link", name=f"Notifications{unread}", exact=True)


def test_what_was_sent_back_is_told_and_reached_by_keyboard(
    live_app: LiveApp, open_page: OpenPage
) -> None:
    owner, annotator = live_app.api(), live_app.api("annotator")
    category = {"name": "car", "color": "#e6194b"}
    project = owner.project(categories=[category], members={"annotator": "annotator"})["id"]
    [image] = owner.upload(project, {"street.png": picture()})
    annotation = annotator.annotation(image["id"])["id"]
    annotator.post(f"annotations/{annotation}/submit", {"revision": 0})
    annotator.post("notifications/read", {"ids": None})

    page = open_page("annotator")
    page.clock.install()
    page.goto("/")
    expect(bell(page, "")).to_be_visible()
    verdict = {"revision": 0, "comment": "The wheels are missing."}
    owner.post(f"annotations/{annotation}/send_back", verdict)
    page.clock.fast_forward("01:05")
    expect(bell(page, ", 1 unread")).to_be_visible()

    bell(page, ", 1 unread").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/notifications")
    told = page.get_by_role("button", name="Unread: owner sent street.png back")
    expect(told).to_contain_text("The wheels are missing.")
    for _ in range(15):
        page.keyboard.press("Tab")
        if told.evaluate("button => button === document.activeElement"):
            break
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/images/{image['id']}/edit?annotation={annotation}")
    expect(page.get_by_text("Sent back by owner")).to_be_visible()
    expect(bell(page, "")).to_be_visible()
