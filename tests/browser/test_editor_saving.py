"""Nothing that was drawn is lost: no network, an ended session, a killed tab, two tabs."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Console, OpenPage
from tests.browser.drawing import Mask, Picture, Points, rectangle_mask, wait_until_saved
from tests.browser.editor import Work, open_editor
from tests.live import LiveApp

WIDTH, HEIGHT = 320, 240
FIRST = [(20, 20), (90, 80)]
SECOND = [(150, 100), (260, 200)]


def draw(page: Page, points: Points) -> Mask:
    sheet = Picture.fitted(page, WIDTH, HEIGHT)
    page.keyboard.press("r")
    return rectangle_mask(sheet.drag(points), WIDTH, HEIGHT)


@pytest.fixture
def work(live_app: LiveApp) -> Work:
    return Work.make(live_app, "instance")


def test_what_is_drawn_offline_is_sent_when_the_network_is_back(
    work: Work, open_page: OpenPage, console: Console
) -> None:
    console.allow("ERR_INTERNET_DISCONNECTED")
    page = open_page()
    open_editor(page, work.image)
    page.context.set_offline(True)
    first = draw(page, FIRST)
    expect(page.locator(".save-state")).to_contain_text("Offline: 1 change kept here")
    second = draw(page, SECOND)
    expect(page.locator(".save-state")).to_contain_text("Offline: 2 changes kept here")
    page.context.set_offline(False)
    wait_until_saved(page)
    work.check([first, second])


def test_a_killed_tab_loses_nothing(work: Work, open_page: OpenPage, console: Console) -> None:
    console.allow("ERR_FAILED")
    page = open_page()
    open_editor(page, work.image)
    page.route("**/patches", lambda route: route.abort())
    first = draw(page, FIRST)
    expect(page.locator(".save-state")).to_contain_text("Offline: 1 change kept here")
    context = page.context
    page.close()
    again = context.new_page()
    console.watch(again)
    open_editor(again, work.image)
    expect(again.locator(".regions .item")).to_have_count(1)
    wait_until_saved(again)
    work.check([first])


def test_a_lost_reply_doubles_nothing(work: Work, open_page: OpenPage, console: Console) -> None:
    console.allow("ERR_FAILED")
    page = open_page()
    open_editor(page, work.image)
    lost: list[int] = []

    def lose_the_first_reply(route) -> None:
        if lost:
            route.continue_()
            return
        lost.append(route.fetch().status)
        route.abort()

    page.route("**/patches", lose_the_first_reply)
    first = draw(page, FIRST)
    wait_until_saved(page)
    assert lost == [200]
    work.check([first])


def test_after_the_session_ended_one_logs_in_without_leaving(
    work: Work, live_app: LiveApp, open_page: OpenPage, console: Console
) -> None:
    console.allow("401", "/api/login")
    page = open_page()
    open_editor(page, work.image)
    page.context.clear_cookies()
    first = draw(page, FIRST)
    page.get_by_role("button", name="Log in again: 1 change kept here").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("User name").fill("owner")
    dialog.get_by_label("Password").fill("wrong")
    dialog.get_by_role("button", name="Log in").click()
    expect(dialog.get_by_role("alert")).to_be_visible()
    dialog.get_by_label("Password").fill(live_app.people["owner"].password)
    dialog.get_by_role("button", name="Log in").click()
    expect(dialog).to_have_count(0)
    wait_until_saved(page)
    work.check([first])


def test_somebody_else_does_not_send_this_work(
    work: Work, live_app: LiveApp, open_page: OpenPage, console: Console
) -> None:
    console.allow("401")
    page = open_page()
    open_editor(page, work.image)
    page.context.clear_cookies()
    draw(page, FIRST)
    page.get_by_role("button", name="Log in again").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("User name").fill("teammate")
    dialog.get_by_label("Password").fill(live_app.people["teammate"].password)
    dialog.get_by_role("button", name="Log in").click()
    expect(dialog.get_by_role("alert")).to_contain_text("owner")
    work.check([])


@pytest.mark.parametrize("keep", ["mine", "theirs"])
def test_two_tabs_that_change_one_region_are_asked(
    work: Work, open_page: OpenPage, console: Console, keep: str
) -> None:
    console.allow("412")
    one = open_page()
    open_editor(one, work.image)
    draw(one, FIRST)
    wait_until_saved(one)
    other = one.context.new_page()
    console.watch(other)
    open_editor(other, work.image)

    moved = {}
    for page, dx in ((one, 100), (other, 40)):
        page.bring_to_front()
        sheet = Picture.fitted(page, WIDTH, HEIGHT)
        page.keyboard.press("v")
        sheet.click((50, 50))
        start, end = sheet.drag([(50, 50), (50 + dx, 50)])
        moved[page] = round(end[0] - start[0], 3)
        if page is one:
            wait_until_saved(page)
    dialog = other.get_by_role("dialog")
    expect(dialog).to_contain_text("changed elsewhere")
    expect(dialog.locator("canvas")).to_have_count(2)
    dialog.get_by_role("button", name="Keep mine" if keep == "mine" else "Take theirs").click()
    expect(dialog).to_have_count(0)
    wait_until_saved(other)

    (region,) = work.regions()
    kept = moved[other if keep == "mine" else one]
    assert region["bbox"][0] == pytest.approx(FIRST[0][0] + kept, abs=2)
