"""Whatever people type stays text: no page of the product runs it."""

from playwright.sync_api import Dialog, Page

from tests.live import LiveApp, picture

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)><svg onload=alert(3)>"
PAGES = ("upload", "review", "export", "import", "jobs", "members", "settings", "prelabel")


def test_no_typed_text_runs(live_app: LiveApp, page: Page) -> None:
    owner = live_app.api()
    category = {"name": EVIL[:90], "supercategory": EVIL[:90], "color": "#e6194b", "hotkey": "1"}
    project = owner.project(name=EVIL, categories=[category])["id"]
    owner.patch(f"projects/{project}", {"guidelines": EVIL * 3})
    [image] = owner.upload(project, {EVIL.replace("/", "\u2044") + ".png": picture()})
    annotation = owner.annotation(image["id"])["id"]
    [made] = owner.categories(project)
    write = {
        "op": "upsert",
        "region": "00000000-0000-4000-8000-000000000084",
        "based_on": 0,
        "key": "00000000-0000-4000-8001-000000000084",
        "category": made["id"],
        "polygons": [[[10, 10, 60, 10, 60, 60]]],
        "attributes": {EVIL[:40]: EVIL},
        "source": EVIL[:40],
    }
    owner.post(f"annotations/{annotation}/patches", {"writes": [write]})
    owner.post(f"annotations/{annotation}/comments", {"text": EVIL, "x": 5, "y": 5})

    ran: list[str] = []

    def heard(dialog: Dialog) -> None:
        ran.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", heard)
    shown = 0
    home = f"/projects/{project}"
    for address in ("/", "/account", home, *[f"{home}/{inner}" for inner in PAGES]):
        page.goto(address, wait_until="networkidle")
        shown += EVIL[:20] in page.inner_text("body")
    page.goto(f"/images/{image['id']}/edit", wait_until="networkidle")
    page.wait_for_timeout(1000)
    shown += EVIL[:20] in page.inner_text("body")
    assert shown > 5  # it is there to be read
    assert ran == []
    assert page.locator("img[src=x], svg[onload]").count() == 0
