"""No route asks the database more often because there is more of something (no N+1).

Made from `access_table`, so that a new route is asked, too.
"""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from annotations.models import (
    Annotation,
    Comment,
    Delivery,
    Image,
    Job,
    JobItem,
    Membership,
    Notification,
    Project,
    ProjectTeam,
    Region,
    Team,
    TeamMember,
    User,
    Webhook,
)
from annotations.services.people import create_token
from tests.conftest import new_annotation
from tests.trust.access_table import ROWS, Row
from tests.trust.everybody import browser, one_of_everything, send

MORE = 1
ROUTES = [
    row for row in ROWS if row.method == "GET" and row.least != "anybody" and row.ok in (200, 302)
]
OWN = {"/api/notifications", "/api/tokens", "/notifications", "/account"}
"""They list what is the annotator's."""


def queries(client: Client, row: Row, things) -> int:
    with CaptureQueriesContext(connection) as found:
        reply = send(client, row, things)
        if reply.streaming:
            reply.getvalue()
    assert reply.status_code in (200, 302), row
    return len(found)


def more_of_everything(people, things) -> None:
    """MORE times everything, each by somebody else, and more below each single thing."""
    project = Project.objects.get(pk=things["project"])
    annotation = Annotation.objects.get(pk=things["annotation"])
    job = Job.objects.get(pk=things["job"])
    webhook = Webhook.objects.get(pk=things["webhook"])
    team = Team.objects.get(pk=things["team"])
    region = annotation.regions.get()
    for number in range(MORE):
        made = {}
        for role in ("owner", "manager", "reviewer", "annotator"):
            made[role] = User.objects.create(username=f"{role} {number}")
            Membership.objects.create(project=project, user=made[role], role=role)
        more = one_of_everything(made, project, mark=f"{number}")
        who = made["annotator"]
        create_token(people["annotator"])
        Notification.objects.create(
            user=people["annotator"], project=project, kind="sent_back", title="Again",
            annotation_id=more["annotation"],
        )  # fmt: skip
        Comment.objects.create(annotation=annotation, author=who, text="Hm")
        JobItem.objects.create(job=job, image_id=more["image"])
        Delivery.objects.create(webhook=webhook, event="job", body="{}", state="failed")
        TeamMember.objects.create(team=team, user=who)
        ProjectTeam.objects.create(
            team=Team.objects.create(name=f"{number}", owner=who), project=project, role="annotator"
        )
        new_annotation(Image.objects.get(pk=things["image"]), who, regions=1)
        copy = Region.objects.get(pk=region.pk)
        copy.pk, copy.uuid, copy.author = None, more["uuid"], who
        copy.save(force_insert=True)


@pytest.mark.sqlite
def test_more_rows_need_no_more_queries(people, things):
    clients = {name: browser(people[name]) for name in ("owner", "annotator", "staff")}

    def asked(row: Row) -> int:
        who = "staff" if row.least == "staff" else "annotator" if row.path in OWN else "owner"
        return queries(clients[who], row, things)

    routes = [row for row in ROUTES if not row.but.get("owner")]
    for row in routes:
        asked(row)  # what is kept after the first time
    few = {str(row): asked(row) for row in routes}
    more_of_everything(people, things)
    many = {str(row): asked(row) for row in routes}
    grown = {name: (few[name], many[name]) for name in few if many[name] > few[name]}
    assert not grown
