"""The rows of long lists, written here: a loop in a template takes ten times as long."""

from collections.abc import Iterable
from typing import Any

from django import template
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from annotations.models import Annotation, Image
from annotations.templatetags.ui import ago, duration, status_label, thousands

register = template.Library()


@register.simple_tag
def image_cards(images: Iterable[Image], can_pick: bool, labels: str) -> SafeString:
    """Of the grid: picture, name, status and who works on it; with a box for who manages.

    labels: "1" shows them in the pictures.
    """
    picture = _picture if labels else _thumbnail
    cards = (_card(image, can_pick, picture(image)) for image in images)
    return mark_safe("".join(cards))  # noqa: S308 (each part is escaped)


def _thumbnail(image: Image) -> str:
    return f"/api/images/{image.pk}/thumbnail"


def _picture(image: Any) -> str:
    """Where its picture with labels is: those approved, else the newest ones, else what models
    propose; or its thumbnail."""
    if not image.seen:
        proposed = f"/api/images/{image.pk}/proposals/picture"
        return proposed if image.proposed else _thumbnail(image)
    shown = max(image.seen, key=lambda one: (one.status == Annotation.Status.APPROVED, one.id))
    return f"/api/annotations/{shown.id}/picture"


def _card(image: Any, can_pick: bool, picture: str) -> str:
    editor, name = f"/images/{image.pk}/edit", escape(image.name)
    people = escape(", ".join(one.username for one in image.seen))
    pick = reason = ""
    if can_pick:
        pick = (
            '<label class="pick"><input type="checkbox" name="images" form="selection" '
            f'value="{image.pk}" aria-label="Select {name}"></label>'
        )
    if image.reason and image.status == Image.Status.NEW:
        text = escape(image.reason)
        reason = f'<p class="faint small ellipsis" title="{text}">{text}</p>'
    return f"""<li class="thumb">
  <a href="{editor}" tabindex="-1" aria-hidden="true"><img src="{picture}" \
alt="" loading="lazy" width="320" height="240"></a>
  {pick}
  <div class="thumb-text">
    <a class="ellipsis" href="{editor}" title="{name} · {image.width} × {image.height}">{name}</a>
    <div class="row apart">{status_label(image.status)}<span class="faint ellipsis">{people}</span>\
</div>
    {reason}
  </div>
</li>
"""


@register.simple_tag
def review_rows(annotations: Iterable[Any]) -> SafeString:
    """Of the queue: what waits, whose it is, how much it is and since when it waits."""
    return mark_safe("".join(map(_review_row, annotations)))  # noqa: S308 (escaped)


def _review_row(annotation: Any) -> str:
    editor = f"/images/{annotation.image_id}/edit?annotation={annotation.pk}&amp;mode=review"
    return f"""<tr>
  <td><a class="row nowrap-row" href="{editor}"><img class="row-thumb" \
src="/api/annotations/{annotation.pk}/picture" alt="" loading="lazy" width="64" height="48">\
<span class="break">{escape(annotation.image.name)}</span></a></td>
  <td>{escape(annotation.annotator.username)}</td>
  <td class="num">{thousands(annotation.region_count)}</td>
  <td class="num">{duration(annotation.seconds_spent)}</td>
  <td>{ago(annotation.submitted_at)}</td>
  <td class="num"><a class="button small" href="{editor}">Review</a></td>
</tr>
"""
