"""Small parts of pages: icons, states, bars, times and sizes, all without inline styles."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

register = template.Library()

# Strokes on a 16 × 16 grid.
ICONS = {
    "alert": "M8 2 14.5 13.5H1.5ZM8 6.5v3.2M8 11.7v.1",
    "archive": "M2 3h12v3H2ZM3 6v7h10V6M6.5 9h3",
    "arrow-down": "M8 3v10M4 9l4 4 4-4",
    "arrow-left": "M13 8H3M7 4 3 8l4 4",
    "arrow-right": "M3 8h10M9 4l4 4-4 4",
    "arrow-up": "M8 13V3M4 7l4-4 4 4",
    "brush": "M13.5 2.5 7 9M5.5 9.2c1.2 0 2 .8 2 1.9 0 1.8-1.6 2.6-5 2.6.9-.8 1-1.5 1-2.3 0-1.3.8-2.2 2-2.2Z",
    "check": "M3 8.5 6.5 12 13 4.5",
    "chevron": "M4.5 6.5 8 10l3.5-3.5",
    "clock": "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2ZM8 4.8V8l2.2 1.6",
    "close": "M4 4l8 8M12 4l-8 8",
    "cpu": "M4.5 4.5h7v7h-7ZM6.5 2v2.5M9.5 2v2.5M6.5 11.5V14M9.5 11.5V14M2 6.5h2.5M2 9.5h2.5M11.5 6.5H14M11.5 9.5H14",
    "download": "M8 2.5v7.5M4.8 7 8 10.2 11.2 7M2.5 13.5h11",
    "folder": "M2 4h4l1.5 1.8H14V13H2Z",
    "gear": "M8 5.8a2.2 2.2 0 1 0 0 4.4 2.2 2.2 0 0 0 0-4.4ZM8 1.8v2M8 12.2v2M1.8 8h2M12.2 8h2M3.6 3.6 5 5M11 11l1.4 1.4M12.4 3.6 11 5M5 11l-1.4 1.4",
    "image": "M2 3h12v10H2ZM2 11l3.5-3.5L9 11l2-2 3 3M10.6 6.1v.1",
    "info": "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2ZM8 7.3v3.5M8 5.2v.1",
    "key": "M5 8a2.7 2.7 0 1 0 0 5.4A2.7 2.7 0 0 0 5 8ZM7 8.8l6-6M10.3 5.5l2 2M12 3.8l1.4 1.4",
    "list": "M5.5 4H14M5.5 8H14M5.5 12H14M2.3 4v.1M2.3 8v.1M2.3 12v.1",
    "moon": "M13.5 9.6A5.8 5.8 0 0 1 6.4 2.5 5.8 5.8 0 1 0 13.5 9.6Z",
    "people": "M6 3a2.3 2.3 0 1 0 0 4.6A2.3 2.3 0 0 0 6 3ZM1.8 13c0-2.5 1.7-3.8 4.2-3.8s4.2 1.3 4.2 3.8M10.8 3.2a2.2 2.2 0 0 1 0 4.2M12 9.5c1.4.5 2.2 1.7 2.2 3.5",
    "play": "M5 3.2v9.6L12.5 8Z",
    "plus": "M8 3v10M3 8h10",
    "retry": "M13 8a5 5 0 1 1-1.6-3.7M13 2.3v3h-3",
    "search": "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9ZM10.3 10.3 14 14",
    "spark": "M8 2l1.5 4.5L14 8l-4.5 1.5L8 14l-1.5-4.5L2 8l4.5-1.5Z",
    "stack": "M8 2.2 14 5.5 8 8.8 2 5.5ZM2.5 8.3 8 11.3l5.5-3M2.5 11 8 14l5.5-3",
    "trash": "M2.5 4.2h11M6 4V2.5h4V4M4 4.2 4.7 13.5h6.6L12 4.2M6.7 6.8v4M9.3 6.8v4",
    "upload": "M8 10.5V3M4.8 6 8 2.8 11.2 6M2.5 13.5h11",
    "user": "M8 2.5a2.7 2.7 0 1 0 0 5.4 2.7 2.7 0 0 0 0-5.4ZM2.8 13.5c0-2.8 2-4.2 5.2-4.2s5.2 1.4 5.2 4.2",
}

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
def icon(name: str) -> SafeString:
    return format_html(
        '<svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path d="{}"/></svg>', ICONS[name]
    )


@register.simple_tag
def status_icon(status: str) -> SafeString:
    return format_html(
        '<svg class="status-icon tint-{}" viewBox="0 0 12 12" aria-hidden="true">{}</svg>',
        status,
        mark_safe(STATUS_SHAPES[status]),  # noqa: S308 - a constant of this file
    )


@register.simple_tag
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
        format_html_join(
            "", '<rect class="{}" x="{}" width="{}" height="100%"/>', rects
        ),
    )


@register.simple_tag
def status_bar(counts: Mapping[str, int]) -> SafeString:
    """How far a project is: approved first, then what waits, then what is being done."""
    order = ["approved", "submitted", "sent_back", "in_progress"]
    total = sum(counts.get(name, 0) for name in STATUS_NAMES)
    words = ", ".join(f"{counts.get(name, 0)} {STATUS_NAMES[name].lower()}" for name in order)
    return bar({f"tint-{name}": counts.get(name, 0) for name in order}, total, words)


@register.simple_tag
def ago(at: datetime | None) -> SafeString | str:
    """How long ago, in words; the exact time in the title."""
    if at is None:
        return "–"
    seconds = max(0, int((timezone.now() - at).total_seconds()))
    if seconds < 60:
        words = "just now"
    elif seconds < 3600:
        words = f"{seconds // 60} min ago"
    elif seconds < 86400:
        words = f"{seconds // 3600} h ago"
    elif seconds < 30 * 86400:
        words = f"{seconds // 86400} d ago"
    else:
        words = timezone.localtime(at).strftime("%Y-%m-%d")
    exact = timezone.localtime(at)
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


@register.filter
def get(mapping: Mapping[Any, Any], key: Any) -> Any:
    return mapping.get(key)
