"""Small parts of pages: icons, states, bars, times and sizes, all without inline styles."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache

from django import template
from django.utils import timezone
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from annotations.models import Job
from annotations.pages.icons import ICONS

register = template.Library()

# Each state has a shape of its own, so that colour is never the only sign.
STATUS_SHAPES = {
    "new": '<circle cx="6" cy="6" r="4.5" fill="none" stroke="currentColor" stroke-width="1.5"/>',
    "in_progress": '<circle cx="6" cy="6" r="4.5" fill="none" stroke="currentColor"'
    ' stroke-width="1.5"/><path d="M6 1.5a4.5 4.5 0 0 1 0 9Z"/>',
    "submitted": '<path d="M6 1 11 10.5H1Z"/>',
    "sent_back": '<path d="M6 .8 11.2 6 6 11.2.8 6Z"/>',
    "approved": '<circle cx="6" cy="6" r="5.5"/><path d="M3.5 6.2 5.3 8l3.3-3.8" fill="none"'
    ' stroke="var(--surface)" stroke-width="1.5"/>',
}
STATUS_NAMES = {
    "new": "New",
    "in_progress": "In progress",
    "submitted": "Submitted",
    "sent_back": "Sent back",
    "approved": "Approved",
}
JOB_BADGES = {
    "queued": "",
    "running": "accent",
    "done": "success",
    "failed": "error",
    "cancelled": "warning",
}


@register.simple_tag
@cache
def icon(name: str) -> SafeString:
    return format_html(
        '<svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path d="{}"/></svg>', ICONS[name]
    )


@register.simple_tag
@cache
def status_icon(status: str) -> SafeString:
    return format_html(
        '<svg class="status-icon tint-{}" viewBox="0 0 12 12" aria-hidden="true">{}</svg>',
        status,
        mark_safe(STATUS_SHAPES[status]),  # noqa: S308 - a constant of this file
    )


@register.simple_tag
@cache
def status_label(status: str) -> SafeString:
    return format_html(
        '<span class="status">{} {}</span>', status_icon(status), STATUS_NAMES[status]
    )


@register.filter
def status_name(status: str) -> str:
    return STATUS_NAMES[status]


@register.filter
def job_badge(state: str) -> str:
    return JOB_BADGES.get(state, "")


@register.simple_tag
def options(values: Iterable[str | tuple[int, str]], chosen: str | int | None) -> SafeString:
    """Of a select: texts, or ids and their texts.

    There may be hundreds, for which a loop in a template takes long.
    """
    rows = []
    for one in values:
        value, text = one if isinstance(one, tuple) else (one, one)
        selected = " selected" if value == chosen else ""
        rows.append(f'<option value="{escape(value)}"{selected}>{escape(text)}</option>')
    return mark_safe("".join(rows))  # noqa: S308 - each value is escaped


@register.simple_tag
def swatch(color: str) -> SafeString:
    return format_html(
        '<svg class="swatch" viewBox="0 0 1 1" aria-hidden="true">'
        '<rect width="1" height="1" fill="{}"/></svg>',
        color,
    )


@register.simple_tag
def bar(parts: Mapping[str, int], total: int, label: str) -> SafeString:
    """A bar of `parts` (class name → count) out of `total`, described by `label`."""
    rects, x = [], 0.0
    for name, count in parts.items():
        width = 100 * count / total if total else 0
        if width:
            rects.append((name, f"{x:.3f}%", f"{width:.3f}%"))
            x += width
    return format_html(
        '<svg class="bar" role="img" aria-label="{}">{}</svg>',
        label,
        format_html_join("", '<rect class="{}" x="{}" width="{}" height="100%"/>', rects),
    )


@register.simple_tag
def status_bar(counts: Mapping[str, int]) -> SafeString:
    """How far a project is: approved first, then what waits, then what is being done."""
    order = ["approved", "submitted", "sent_back", "in_progress"]
    total = sum(counts.get(name, 0) for name in STATUS_NAMES)
    words = ", ".join(f"{counts.get(name, 0)} {STATUS_NAMES[name].lower()}" for name in order)
    return bar({f"tint-{name}": counts.get(name, 0) for name in order}, total, words)


@register.simple_tag
def job_bar(job: Job, failed: int | None = None) -> SafeString:
    """How far a job is, with its failed images in another colour."""
    failed = job.failed_items if failed is None else failed  # type: ignore[attr-defined]
    done = job.done
    total = job.total or (1 if job.state == Job.State.DONE else 0)
    if job.state == Job.State.DONE:
        done = total
    return bar({"done": max(0, done - failed), "failed": failed}, total, f"{done} of {total} done")


@register.simple_tag
def took(job: Job) -> str:
    """From the first attempt to the end, or to now."""
    if job.started_at is None:
        return "–"
    return duration(((job.ended_at or timezone.now()) - job.started_at).total_seconds())


@register.simple_tag
def ago(at: datetime | None) -> SafeString | str:
    """How long ago, in words; the exact time in the title."""
    if at is None:
        return "–"
    seconds = max(0, int((timezone.now() - at).total_seconds()))
    exact = timezone.localtime(at)
    if seconds < 60:
        words = "just now"
    elif seconds < 3600:
        words = f"{seconds // 60} min ago"
    elif seconds < 86400:
        words = f"{seconds // 3600} h ago"
    elif seconds < 30 * 86400:
        words = f"{seconds // 86400} d ago"
    else:
        words = exact.strftime("%Y-%m-%d")
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        exact.isoformat(timespec="seconds"),
        exact.strftime("%Y-%m-%d %H:%M:%S %Z"),
        words,
    )


@register.filter
def duration(seconds: float | None) -> str:
    """75 → 1 min 15 s."""
    if seconds is None:
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


@register.filter
def size(count: float | None) -> str:
    """Bytes in words: 1536 → 1.5 KB."""
    if count is None:
        return "–"
    if count < 1024:
        return f"{count:.0f} B"
    for unit in ("KB", "MB", "GB", "TB"):
        count /= 1024
        if count < 1024 or unit == "TB":
            break
    return f"{count:.1f} {unit}" if count < 10 else f"{count:.0f} {unit}"


@register.filter
def thousands(number: int | None) -> str:
    return f"{number or 0:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
