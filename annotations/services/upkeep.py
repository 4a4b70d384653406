"""What must happen now and then, in one process of an installation (more do no harm).

`manage.py serve` does it beside the web process, `manage.py sweep --forever` in a team's
installation.
"""

import logging
import threading
import time

from django.db import close_old_connections
from django.db.models import OuterRef, Subquery

from annotations.models import Annotation, Region
from annotations.services import (
    facts,
    files,
    logins,
    marks,
    notifications,
    sweeping,
    tallies,
    webhooks,
    work,
)

log = logging.getLogger(__name__)
TIDY_EVERY_SECONDS = 600


REGIONS_AT_ONCE = 5000


def give_images() -> int:
    """Writes the image of regions that a process of an earlier version made; how many.

    Those there are while the processes of an installation are changed one after the other.
    """
    rows = Region.objects.filter(image=None).order_by("pk").values("pk")[:REGIONS_AT_ONCE]
    of_annotation = Annotation.objects.filter(pk=OuterRef("annotation")).values("image")
    return Region.objects.filter(pk__in=list(rows.values_list("pk", flat=True))).update(
        image=Subquery(of_annotation)
    )


def sweep() -> None:
    """Take back what is overdue, and do what somebody else should have done by now."""
    sweeping.sweep()
    work.sweep()
    webhooks.sweep()
    tallies.compact()
    give_images()
    marks.tidy()
    facts.measure_late()


def forever(stop: threading.Event, every: float = 5) -> None:
    """Sweep jobs and leases every so many seconds, tidy files now and then, until `stop` is set."""
    tidied = time.monotonic()
    while not stop.wait(every):
        try:
            sweep()
            if time.monotonic() - tidied > TIDY_EVERY_SECONDS:
                tidied = time.monotonic()
                files.tidy()
                sweeping.tidy()
                logins.tidy()
                notifications.tidy()
                notifications.settle_reviewed()
                webhooks.tidy()
        except Exception:  # the database may be away; what was missed is done the next time
            log.exception("The sweep failed; again in %s s", every)
        finally:
            close_old_connections()
