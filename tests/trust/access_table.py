"""Who may do what: every route and method of the product, one line each.

Columns: method, address, the least that one must be, what whoever is that gets. The least is
`anybody`, `anyone` (logged in), `staff` (of the installation) or a role in the project. Below it:
anonymous gets 401 (API) or is led to the login page, an outsider 404, too low a role and whoever is
not staff 403. `but` names who gets another answer, and a comment says why.
"""

from dataclasses import dataclass, field
from typing import Any

OWN_JOBS_ONLY = {"annotator": 404, "reviewer": 404}
"""Below manager, the jobs of others do not exist."""

NOT_MINE = {"reviewer": 409, "manager": 409, "owner": 409}
"""Whoever sees an annotation of somebody else cannot write in it."""

COLLEAGUES = {"annotator": 404}
"""An annotator does not see what other annotators do."""


OWN_TEAM = dict.fromkeys(("annotator", "reviewer", "manager", "stranger", "removed"), 404)
"""The team is the owner's, and the others are not in it."""


@dataclass(frozen=True)
class Row:
    method: str
    path: str
    least: str
    ok: int = 200
    body: Any = None
    but: dict[str, int] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def upload(file_field: str, **fields: str) -> dict[str, Any]:
    """A multipart body; the test puts a file in."""
    return {file_field: "FILE", **fields}


VERDICT = {"revision": 1, "comment": "Why"}
REGION = {"category": "{category}", "polygons": [[[0, 0, 4, 0, 4, 4]]]}
IF_1 = {"If-Match": '"1"'}
CLICK = {"model": "{model}", "points": [{"x": 50, "y": 40, "positive": True}]}
PRELABEL = {"model": "{model}", "images": ["{image}"]}
IMPORT = {"format": "coco", "as": "predictions"}

API = [
    Row("GET", "/api/me", "anyone"),
    Row("GET", "/api/me/preferences", "anyone"),
    Row("PUT", "/api/me/preferences", "anyone", 200, {"left_handed": True}),
    Row("GET", "/api/me/notifications", "anyone"),
    Row("PUT", "/api/me/notifications", "anyone", 200, {"kinds": {"reply": False}}),
    Row("GET", "/api/notifications", "anyone"),
    Row("GET", "/api/notifications/unread", "anyone"),
    # The notification is the annotator's; that of somebody else is not touched.
    Row("POST", "/api/notifications/read", "anyone", 200, {"ids": ["{notification}"]}),
    Row("POST", "/api/login", "anybody", 200, {"username": "stranger", "password": "open sesame"}),
    Row("POST", "/api/logout", "anyone", 204),
    Row("GET", "/api/schema", "anyone"),
    Row("GET", "/api/formats", "anyone"),
    Row("GET", "/api/models", "anyone"),
    Row("GET", "/api/models/{learned}/decoder", "anyone"),
    Row("GET", "/api/tokens", "anyone"),
    Row("POST", "/api/tokens", "anyone", 201),
    # The token is the annotator's.
    Row("DELETE", "/api/tokens/{token}", "anyone", 404, but={"annotator": 204}),
    Row("GET", "/api/projects", "anyone"),
    Row("POST", "/api/projects", "anyone", 201, {"name": "New", "kind": "instance"}),
    Row("GET", "/api/projects/{project}", "annotator"),
    Row("PATCH", "/api/projects/{project}", "manager", 200, {"guidelines": "All cars."}),
    Row("PATCH", "/api/projects/{project}", "owner", 200, {"name": "Streets"}),
    Row("PATCH", "/api/projects/{project}", "owner", 200, {"archived": True}),
    Row("DELETE", "/api/projects/{project}", "owner", 204),
    Row("GET", "/api/projects/{project}/categories", "annotator"),
    Row("POST", "/api/projects/{project}/categories", "manager", 201, {"name": "tree"}),
    Row("PATCH", "/api/categories/{category}", "manager", 200, {"name": "tree"}),
    Row("DELETE", "/api/categories/{category}", "manager"),
    Row("GET", "/api/projects/{project}/members", "annotator"),
    Row(
        "POST", "/api/projects/{project}/members", "manager", 201,
        {"username": "stranger", "role": "annotator"},
    ),
    Row(
        "POST", "/api/projects/{project}/members", "owner", 201,
        {"username": "stranger", "role": "manager"},
    ),
    Row("PATCH", "/api/members/{colleague}", "manager", 200, {"role": "reviewer"}),
    Row("PATCH", "/api/members/{colleague}", "owner", 200, {"role": "manager"}),
    Row("DELETE", "/api/members/{colleague}", "manager", 204),
    # The owner is the only one and must stay.
    Row("DELETE", "/api/members/{owner}", "owner", 409),
    Row("GET", "/api/teams", "anyone"),
    Row("POST", "/api/teams", "anyone", 201, {"name": "New"}),
    Row("POST", "/api/teams", "staff", 201, {"name": "New", "installation": True}),
    Row("PATCH", "/api/teams/{team}", "anyone", 200, {"name": "Other"}, but=OWN_TEAM),
    Row("DELETE", "/api/teams/{team}", "anyone", 204, but=OWN_TEAM),
    Row("GET", "/api/teams/{team}/members", "anyone", but=OWN_TEAM),
    Row("POST", "/api/teams/{team}/members", "anyone", 201, {"username": "stranger"},
        but=OWN_TEAM),
    Row("DELETE", "/api/team_members/{team_member}", "anyone", 204, but=OWN_TEAM),
    Row("GET", "/api/projects/{project}/teams", "annotator"),
    # Everybody sees the team of the installation, and the manager could not see the owner's.
    Row("POST", "/api/projects/{project}/teams", "manager", 201,
        {"team": "{open_team}", "role": "reviewer"}),
    Row("POST", "/api/projects/{project}/teams", "owner", 201,
        {"team": "{open_team}", "role": "manager"}),
    Row("PATCH", "/api/project_teams/{project_team}", "manager", 200, {"role": "reviewer"}),
    Row("DELETE", "/api/project_teams/{project_team}", "manager", 204),
    Row("GET", "/api/people", "staff"),
    Row("POST", "/api/people/{person}/deactivate", "staff"),
    Row("POST", "/api/people/{person}/reactivate", "staff"),
    Row("GET", "/api/projects/{project}/images", "annotator"),
    Row("POST", "/api/projects/{project}/images", "manager", 201, upload("files")),
    Row("GET", "/api/images/{image}", "annotator"),
    Row("DELETE", "/api/images/{image}", "manager", 204),
    Row("GET", "/api/images/{image}/file", "annotator"),
    Row("GET", "/api/images/{image}/thumbnail", "annotator"),
    Row("GET", "/api/images/{image}/original", "annotator"),
    Row("GET", "/api/images/{image}/values", "annotator"),
    Row("GET", "/api/images/{image}/tiles/0/0/0", "annotator"),
    Row("GET", "/api/images/{image}/workspace", "annotator"),
    Row("GET", "/api/images/{image}/workspace?annotation={theirs}", "annotator", but=COLLEAGUES),
    # The annotator has one already.
    Row("POST", "/api/images/{image}/annotations", "annotator", 201, {}, but={"annotator": 200}),
    Row("POST", "/api/images/{image}/segment", "annotator", 200, CLICK),
    Row("POST", "/api/images/{image}/embed", "annotator", 200, {}),
    Row("GET", "/api/images/{image}/embedding?model={learned}", "annotator"),
    Row("GET", "/api/projects/{project}/next", "annotator"),
    Row("GET", "/api/projects/{project}/next?mode=review", "reviewer"),
    Row("POST", "/api/projects/{project}/next", "annotator", 200, {}),
    Row("POST", "/api/projects/{project}/next", "reviewer", 200, {"mode": "review"}),
    Row("GET", "/api/projects/{project}/leases", "annotator"),
    # The lease is the annotator's; managers may take it away.
    Row("PATCH", "/api/leases/{lease}", "annotator", 200,
        but={"reviewer": 404, "manager": 404, "owner": 404}),
    Row("DELETE", "/api/leases/{lease}", "annotator", 204, but={"reviewer": 403}),
    Row("POST", "/api/leases/{lease}/skip", "annotator", 204, {"reason": "too_hard"},
        but={"reviewer": 404, "manager": 404, "owner": 404}),
    Row("POST", "/api/leases/{skipped}/offer_again", "manager", 204),
    Row("GET", "/api/projects/{project}/invitations", "manager"),
    Row("POST", "/api/projects/{project}/invitations", "manager", 201, {"role": "reviewer"}),
    Row("POST", "/api/projects/{project}/invitations", "owner", 201, {"role": "owner"}),
    # Below manager, there are no invitations.
    Row("DELETE", "/api/invitations/{invitation}", "manager", 204, but=OWN_JOBS_ONLY),
    Row("GET", "/api/projects/{project}/audit", "owner"),
    Row("GET", "/api/projects/{project}/webhooks", "manager"),
    Row("POST", "/api/projects/{project}/webhooks", "manager", 201,
        {"url": "https://hooks.example.org/in", "events": ["submitted"]}),
    # Below manager, webhooks do not exist.
    Row("PATCH", "/api/webhooks/{webhook}", "manager", 200, {"active": False}, but=OWN_JOBS_ONLY),
    Row("DELETE", "/api/webhooks/{webhook}", "manager", 204, but=OWN_JOBS_ONLY),
    Row("POST", "/api/webhooks/{webhook}/secret", "manager", but=OWN_JOBS_ONLY),
    Row("POST", "/api/webhooks/{webhook}/test", "manager", 202, but=OWN_JOBS_ONLY),
    Row("GET", "/api/webhooks/{webhook}/deliveries", "manager", but=OWN_JOBS_ONLY),
    Row("POST", "/api/deliveries/{delivery}/send_again", "manager", 202, but=OWN_JOBS_ONLY),
    Row("GET", "/api/projects/{project}/rules", "annotator"),
    Row("PATCH", "/api/projects/{project}/rules", "manager", 200, {"annotators": 2}),
    Row("GET", "/api/projects/{project}/batches", "annotator"),
    Row("POST", "/api/projects/{project}/batches", "manager", 201, {"name": "second"}),
    Row("PATCH", "/api/batches/{batch}", "manager", 200, {"name": "other"}),
    Row("DELETE", "/api/batches/{batch}", "manager", 204),
    Row("POST", "/api/projects/{project}/place", "manager", 200,
        {"images": ["{image}"], "batch": "{batch}", "priority": 3}),
    Row("GET", "/api/projects/{project}/annotations", "annotator"),
    Row("GET", "/api/annotations/{annotation}", "annotator"),
    Row("GET", "/api/annotations/{theirs}", "annotator", but=COLLEAGUES),
    Row("GET", "/api/annotations/{annotation}/picture", "annotator"),
    Row("GET", "/api/images/{image}/proposals/picture", "annotator"),
    Row("GET", "/api/annotations/{theirs}/picture", "annotator", but=COLLEAGUES),
    Row(
        "POST", "/api/annotations/{annotation}/patches", "annotator", 200,
        {"writes": [{"op": "delete", "region": "{region}", "based_on": 1, "key": "{uuid}"}]},
        but=NOT_MINE,
    ),
    # One's own, whoever asks.
    Row("POST", "/api/images/{image}/patches", "annotator", 200, {"writes": [], "submit": None}),
    Row("GET", "/api/annotations/{annotation}/regions/{region}", "annotator"),
    Row(
        "PUT", "/api/annotations/{annotation}/regions/{region}", "annotator", 200, REGION,
        but=NOT_MINE, headers=IF_1,
    ),
    Row(
        "DELETE", "/api/annotations/{annotation}/regions/{region}", "annotator", 200,
        but=NOT_MINE, headers=IF_1,
    ),
    # Only the one who made it submits it.
    Row(
        "POST", "/api/annotations/{annotation}/submit", "annotator", 200, {"revision": 1},
        but={"reviewer": 403, "manager": 403, "owner": 403},
    ),
    Row("POST", "/api/annotations/{submitted}/approve", "reviewer", 200, VERDICT),
    Row("POST", "/api/annotations/{submitted}/send_back", "reviewer", 200, VERDICT),
    Row("POST", "/api/annotations/{submitted}/fix", "reviewer", 200, {"revision": 1}),
    Row("GET", "/api/annotations/{annotation}/bases", "annotator"),
    Row("GET", "/api/annotations/{annotation}/regions/{region}/history", "annotator"),
    Row("GET", "/api/annotations/{annotation}/history", "annotator"),
    Row("GET", "/api/annotations/{annotation}/history/{revision}", "annotator"),
    Row("GET", "/api/annotations/{theirs}/history", "annotator", but=COLLEAGUES),
    # That revision is of another annotation.
    Row("GET", "/api/annotations/{theirs}/history/{revision}", "anyone", 404),
    Row("GET", "/api/annotations/{annotation}/bases/annotation-{theirs}", "reviewer",
        but={"annotator": 404}),
    Row("POST", "/api/projects/{project}/accept_unsampled", "manager"),
    # The annotator may take the own submission back, and not an approval.
    Row("POST", "/api/annotations/{submitted}/reopen", "annotator", 200, VERDICT),
    Row("POST", "/api/annotations/{approved}/reopen", "reviewer", 200, VERDICT),
    Row("GET", "/api/annotations/{annotation}/comments", "annotator"),
    Row("POST", "/api/annotations/{annotation}/comments", "annotator", 201, {"text": "Look"}),
    Row("POST", "/api/annotations/{theirs}/comments", "annotator", 201, {"text": "Look"},
        but=COLLEAGUES),
    Row("PATCH", "/api/comments/{comment}", "annotator", 200, {"resolved": True}),
    Row("GET", "/api/projects/{project}/jobs", "annotator"),
    Row("POST", "/api/projects/{project}/exports", "manager", 202, {"format": "coco"}),
    Row("GET", "/api/projects/{project}/releases", "reviewer"),
    Row("POST", "/api/projects/{project}/releases", "manager", 202, {"name": "v2"}),
    Row("GET", "/api/releases/{release}", "reviewer"),
    Row("PATCH", "/api/releases/{release}", "manager", 200, {"name": "v1"}),
    Row("DELETE", "/api/releases/{release}", "owner", 204),
    Row("GET", "/api/releases/{release}/diff?against={before}", "reviewer"),
    Row("GET", "/api/releases/{release}/images/2/picture?against={before}", "reviewer"),
    # Below manager, everybody sees the own numbers only.
    Row("GET", "/api/projects/{project}/quality/days", "annotator"),
    Row("GET", "/api/projects/{project}/quality/people?form=csv", "annotator"),
    Row("GET", "/api/projects/{project}/quality/pairs", "manager"),
    Row("GET", "/api/projects/{project}/quality/days?person=owner", "manager"),
    Row("GET", "/api/projects/{project}/quality/accepted", "manager"),
    Row("GET", "/api/projects/{project}/quality/forecast", "manager"),
    Row("GET", "/api/projects/{project}/gold", "manager"),
    Row("POST", "/api/projects/{project}/gold", "manager", 201, {"annotations": ["{approved}"]}),
    # Nobody else may know that there is one.
    Row("DELETE", "/api/gold/{gold}", "manager", 204, but=OWN_JOBS_ONLY),
    # Nobody labeled an image beside somebody else.
    Row("POST", "/api/projects/{project}/consensus", "manager", 409, {"least": 20}),
    Row("DELETE", "/api/jobs/{joint}/predictions", "manager", but=OWN_JOBS_ONLY),
    Row("GET", "/api/projects/{project}/suspicions", "reviewer"),
    Row("POST", "/api/projects/{project}/suspicions", "reviewer", 202),
    Row("POST", "/api/suspicions/{suspicion}/verdict", "reviewer", 200, {"verdict": "right"},
        but=COLLEAGUES),
    Row("GET", "/api/suspicions/{suspicion}/picture", "reviewer", but=COLLEAGUES),
    Row("POST", "/api/projects/{project}/imports", "manager", 201, upload("file", **IMPORT)),
    Row("POST", "/api/projects/{project}/prelabel", "manager", 202, PRELABEL),
    Row("GET", "/api/projects/{project}/trainings", "manager"),
    Row("POST", "/api/projects/{project}/trainings", "manager", 409, {}),
    Row("GET", "/api/trainings/{training}", "manager"),
    Row("POST", "/api/trainings/{training}/stop", "manager"),
    Row("GET", "/api/trainings/{training}/images/2/picture", "manager"),
    # What is uploaded there is no weights file.
    Row("POST", "/api/projects/{project}/models", "manager", 422, upload("file", name="own")),
    Row("POST", "/api/models/{trained}/use", "manager", 204),
    Row("GET", "/api/models/{trained}/weights", "manager"),
    Row("GET", "/api/jobs/{job}", "manager", but=OWN_JOBS_ONLY),
    Row("GET", "/api/jobs/{job}/items", "manager", but=OWN_JOBS_ONLY),
    Row("GET", "/api/jobs/{exported}/download", "manager", but=OWN_JOBS_ONLY),
    Row("POST", "/api/jobs/{job}/cancel", "manager", but=OWN_JOBS_ONLY),
    Row("POST", "/api/jobs/{failed}/retry", "manager", but=OWN_JOBS_ONLY),
]  # fmt: skip

CATEGORY = {"name": "bus", "color": "#112233", "is_thing": "True"}

PAGES = [
    Row("GET", "/healthz", "anybody"),
    Row("GET", "/readyz", "anybody"),
    # From this machine, as here; tests/trust/test_operations.py has the others.
    Row("GET", "/metrics", "anybody"),
    # Whoever is logged in is led on.
    Row("GET", "/login", "anybody", 302, but={"anonymous": 200, "deactivated": 200}),
    # No provider is set; tests/work/test_sso.py has one.
    Row("GET", "/sso", "anybody", 404),
    Row("GET", "/sso/callback", "anybody", 404),
    Row("POST", "/login", "anybody", 302, {"username": "stranger", "password": "open sesame"}),
    Row("POST", "/logout", "anybody", 302),
    Row("POST", "/theme", "anybody", 302, {"theme": "dark"}),
    Row("GET", "/account", "anyone"),
    Row("POST", "/account", "anyone", 400, {"old_password": "wrong"}),
    Row("POST", "/account/tokens", "anyone"),
    # The token is the annotator's.
    Row("POST", "/account/tokens/{token}/revoke", "anyone", 404, but={"annotator": 302}),
    Row("GET", "/notifications", "anyone"),
    Row("POST", "/notifications/read", "anyone", 302, {"id": "{notification}"}),
    Row("POST", "/notifications/kinds", "anyone", 302, {"kind": "reply"}),
    # It is the annotator's.
    Row("POST", "/notifications/{notification}/follow", "anyone", 404, but={"annotator": 302}),
    Row("GET", "/people", "staff"),
    Row("POST", "/people/{person}/deactivate", "staff", 302),
    Row("POST", "/people/{person}/reactivate", "staff", 302),
    Row("GET", "/teams", "anyone"),
    Row("POST", "/teams", "anyone", 302, {"name": "New"}),
    Row("GET", "/teams/{team}", "anyone", but=OWN_TEAM),
    Row("POST", "/teams/{team}/rename", "anyone", 302, {"name": "Other"}, but=OWN_TEAM),
    Row("POST", "/teams/{team}/remove", "anyone", 302, but=OWN_TEAM),
    Row("POST", "/teams/{team}/members", "anyone", 302, {"username": "stranger"}, but=OWN_TEAM),
    Row("POST", "/teams/{team}/members/{team_member}/remove", "anyone", 302, but=OWN_TEAM),
    Row("POST", "/projects/{project}/teams", "manager", 302,
        {"team": "{open_team}", "role": "reviewer"}),
    Row("POST", "/projects/{project}/teams/{project_team}", "manager", 302, {"role": "reviewer"}),
    Row("POST", "/projects/{project}/teams/{project_team}/remove", "manager", 302),
    Row("GET", "/", "anyone"),
    Row("GET", "/models", "anyone"),
    Row("GET", "/projects/new", "anyone"),
    Row("POST", "/projects/new", "anyone", 302, {"name": "New", "kind": "instance"}),
    Row("POST", "/projects/new/categories", "anyone", 200, {"categories": "car"}),
    Row("GET", "/projects/{project}", "annotator"),
    Row("GET", "/projects/{project}/next", "annotator", 302),
    Row("POST", "/projects/{project}/next", "annotator", 302),
    Row("POST", "/projects/{project}/next?mode=review", "reviewer", 302),
    Row("POST", "/projects/{project}/invitations", "manager", 200,
        {"role": "reviewer", "days": "7"}),
    Row("POST", "/projects/{project}/invitations/{invitation}/withdraw", "manager", 302,
        but=OWN_JOBS_ONLY),
    # The secret is what lets one in, and this is none.
    Row("GET", "/invitations/nonsense", "anybody", 404),
    Row("POST", "/invitations/nonsense", "anybody", 404),
    Row("GET", "/projects/{project}/audit", "owner"),
    Row("GET", "/projects/{project}/webhooks", "manager"),
    Row("POST", "/projects/{project}/webhooks", "manager", 200,
        {"url": "https://hooks.example.org/in", "events": "submitted"}),
    Row("GET", "/projects/{project}/webhooks/{webhook}", "manager"),
    # What one does to one of them: below manager, it does not exist.
    Row("POST", "/projects/{project}/webhooks/{webhook}/change", "manager", 302,
        {"active": "false"}, but=OWN_JOBS_ONLY),
    Row("POST", "/projects/{project}/webhooks/{webhook}/secret", "manager", but=OWN_JOBS_ONLY),
    Row("POST", "/projects/{project}/webhooks/{webhook}/test", "manager", 302,
        but=OWN_JOBS_ONLY),
    Row("POST", "/projects/{project}/webhooks/{webhook}/remove", "manager", 302,
        but=OWN_JOBS_ONLY),
    Row("POST", "/projects/{project}/webhooks/{webhook}/deliveries/{delivery}", "manager", 302,
        but=OWN_JOBS_ONLY),
    Row("GET", "/projects/{project}/work", "annotator"),
    Row("POST", "/projects/{project}/work", "manager", 302,
        {"annotators": 1, "lease_minutes": 5, "review_rule": "all", "review_share": 9}),
    Row("POST", "/projects/{project}/place", "manager", 302, {"images": "{image}", "priority": 1}),
    Row("POST", "/projects/{project}/batches", "manager", 302, {"name": "second"}),
    Row("POST", "/projects/{project}/batches/{batch}", "manager", 302, {"name": "other"}),
    Row("POST", "/projects/{project}/batches/{batch}/move", "manager", 302),
    Row("POST", "/projects/{project}/batches/{batch}/remove", "manager", 302),
    Row("POST", "/projects/{project}/leases/{lease}/take_away", "manager", 302,
        but={"annotator": 403}),
    Row("POST", "/projects/{project}/leases/{skipped}/offer_again", "manager", 302),
    Row("POST", "/projects/{project}/accept_unsampled", "manager", 302),
    Row("GET", "/projects/{project}/upload", "manager"),
    Row("POST", "/projects/{project}/upload", "manager", 200, upload("files")),
    Row("POST", "/projects/{project}/images/delete", "manager", 302, {"images": "{image}"}),
    Row("GET", "/projects/{project}/settings", "annotator"),
    Row("POST", "/projects/{project}/settings", "manager", 302,
        {"name": "Street", "guidelines": "!"}),
    Row("POST", "/projects/{project}/archive", "owner", 302),
    Row("POST", "/projects/{project}/restore", "owner", 302),
    Row("POST", "/projects/{project}/delete", "owner", 302, {"name": "Street"}),
    Row("POST", "/projects/{project}/categories", "manager", 302, CATEGORY),
    Row("POST", "/projects/{project}/categories/{category}", "manager", 302, CATEGORY),
    Row("POST", "/projects/{project}/categories/{category}/move", "manager", 302,
        {"direction": "down"}),
    Row("POST", "/projects/{project}/categories/{category}/archive", "manager", 302),
    Row("POST", "/projects/{project}/categories/{retired}/restore", "manager", 302),
    Row("GET", "/categories/{category}/attributes", "manager"),
    Row("POST", "/categories/{category}/attributes", "manager", 302, {"name": "a", "type": "text"}),
    Row("GET", "/projects/{project}/members", "annotator"),
    Row("POST", "/projects/{project}/members", "manager", 302,
        {"username": "stranger", "role": "annotator"}),
    Row("POST", "/projects/{project}/members/{colleague}", "manager", 302, {"role": "reviewer"}),
    Row("POST", "/projects/{project}/members/{colleague}/remove", "manager", 302),
    Row("GET", "/projects/{project}/review", "reviewer"),
    # Below manager: the own numbers.
    Row("GET", "/projects/{project}/quality", "annotator"),
    Row("GET", "/projects/{project}/quality/models", "manager"),
    Row("GET", "/projects/{project}/quality/agreement", "manager"),
    Row("POST", "/projects/{project}/quality/consensus", "manager", 302, {"method": "staple"}),
    Row("GET", "/projects/{project}/quality/gold", "manager"),
    Row("POST", "/projects/{project}/quality/gold", "manager", 302, {"annotations": "{approved}"}),
    Row("POST", "/projects/{project}/quality/gold/{gold}/remove", "manager", 302),
    Row("GET", "/projects/{project}/quality/suspects", "reviewer"),
    Row("POST", "/projects/{project}/quality/suspects", "reviewer", 302),
    Row("POST", "/projects/{project}/quality/suspects/{suspicion}", "reviewer", 302,
        {"verdict": "skip"}),
    Row("GET", "/releases/{release}/quality", "manager"),
    Row("POST", "/jobs/{joint}/undo", "manager", 302, but=OWN_JOBS_ONLY),
    Row("GET", "/projects/{project}/releases", "reviewer"),
    Row("POST", "/projects/{project}/releases", "manager", 302,
        {"name": "v2", "status": "all", "key": "{uuid}"}),
    Row("GET", "/releases/{release}", "reviewer"),
    Row("GET", "/releases/{release}/diff", "reviewer"),
    Row("POST", "/releases/{release}/name", "manager", 302, {"name": "v1"}),
    Row("POST", "/releases/{release}/remove", "owner", 302),
    Row("GET", "/projects/{project}/export", "manager"),
    Row("POST", "/projects/{project}/export", "manager", 302,
        {"format": "coco", "status": "all", "key": "{uuid}"}),
    Row("GET", "/projects/{project}/import", "manager"),
    Row("POST", "/projects/{project}/import", "manager", 302,
        upload("file", format="coco", kind="predictions")),
    Row("GET", "/projects/{project}/jobs", "annotator"),
    Row("GET", "/projects/{project}/prelabel", "manager"),
    Row("POST", "/projects/{project}/prelabel", "manager", 302,
        {"model": "{model}", "scope": "all", "min_score": "0", "max_proposals": "9"}),
    Row("GET", "/projects/{project}/learning", "manager"),
    Row("POST", "/projects/{project}/learning", "manager", 400),
    Row("POST", "/projects/{project}/learning/{training}/stop", "manager", 302),
    Row("POST", "/projects/{project}/learning/models/{trained}/use", "manager", 302),
    Row("POST", "/projects/{project}/learning/models/new", "manager", 302,
        upload("file", name="own")),
    Row("GET", "/jobs/{job}", "manager", but=OWN_JOBS_ONLY),
    Row("GET", "/jobs/{preview}/preview", "manager", but=OWN_JOBS_ONLY),
    Row("POST", "/jobs/{job}/cancel", "manager", 302, but=OWN_JOBS_ONLY),
    Row("POST", "/jobs/{failed}/retry", "manager", 302, but=OWN_JOBS_ONLY),
    Row("GET", "/images/{image}/edit", "annotator"),
    Row("GET", "/images/{image}/edit?annotation={theirs}", "annotator", but=COLLEAGUES),
]  # fmt: skip

ROWS = [*API, *PAGES]
ROLES = ("annotator", "reviewer", "manager", "owner")
OUTSIDE = ("stranger", "removed")
"""Logged in and no member, one of them since a moment ago."""

WHO = ("anonymous", "deactivated", *OUTSIDE, *ROLES)


def who_asks(row: Row) -> tuple[str, ...]:
    """Everybody whose answer is looked at."""
    return (*WHO, "staff") if row.least == "staff" else WHO


def expected(row: Row, who: str) -> int:
    """The status that `who` gets."""
    if who in row.but:
        return row.but[who]
    if row.least == "anybody":
        return row.ok
    if who in ("anonymous", "deactivated"):
        return 401 if row in API else 302
    if row.least == "anyone" or who == "staff":
        return row.ok
    if row.least == "staff":
        return 403
    if who in OUTSIDE:
        return 404
    return row.ok if ROLES.index(who) >= ROLES.index(row.least) else 403
