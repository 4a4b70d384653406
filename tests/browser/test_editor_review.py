"""What reviewer and annotator say to each other inside the editor."""

from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.drawing import Picture
from tests.browser.editor import Work, open_editor
from tests.live import LiveApp


def test_a_comment_on_a_region_reaches_the_annotator_who_closes_it(
    live_app: LiveApp, open_page: OpenPage
) -> None:
    work = Work.make(live_app, "instance", members={"reviewer": "reviewer"})
    owner = open_page("owner")
    open_editor(owner, work.image)
    sheet = Picture.fitted(owner, *work.size)
    owner.keyboard.press("r")
    sheet.drag([(40, 40), (120, 100)])
    owner.keyboard.press("Control+Enter")
    expect(owner.locator(".read-only")).to_contain_text("waiting for a verdict")

    reviewer = open_page("reviewer")
    reviewer.goto(f"/images/{work.image}/edit?mode=review")
    expect(reviewer.locator(".read-only")).to_contain_text("waiting for a verdict")
    expect(reviewer.get_by_role("button", name="Submit", exact=True)).to_have_count(0)
    sheet = Picture(reviewer, *work.size, sheet.scale, sheet.x, sheet.y)
    sheet.click((80, 70))
    reviewer.get_by_label("Comment on the selected region").fill("Too wide on the left.")
    reviewer.get_by_role("button", name="Add").last.click()
    expect(reviewer.locator(".comments")).to_contain_text("Too wide on the left.")
    reviewer.get_by_role("button", name="Send back").click()
    dialog = reviewer.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Send back")).to_be_disabled()
    dialog.get_by_role("textbox").fill("See the comment.")
    dialog.get_by_role("button", name="Send back").click()
    expect(dialog).to_have_count(0)

    open_editor(owner, work.image)
    panel = owner.locator(".review")
    expect(panel).to_contain_text("Sent back by reviewer")
    expect(panel).to_contain_text("See the comment.")
    expect(panel).to_contain_text("Too wide on the left.")
    (comment,) = work.api.get(f"images/{work.image}/workspace")["annotation"]["comments"]
    assert abs(comment["x"] - 80) <= 1
    assert abs(comment["y"] - 70) <= 1
    panel.get_by_role("button", name="Done").click()
    expect(panel.get_by_role("button", name="Open again")).to_be_visible()
    expect(owner.get_by_role("button", name="Submit again")).to_be_visible()
