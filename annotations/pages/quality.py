"""Dashboards of quality: work, models, agreement, gold images, suspicious labels, releases."""

from datetime import date
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.dateparse import parse_date
from django.views.decorators.http import require_http_methods, require_POST

from annotations.access import at_least, find
from annotations.errors import ServiceError
from annotations.models import Annotation, Gold, Suspicion
from annotations.models.projects import Role
from annotations.pages.base import action, page, person, project_context, read, refused
from annotations.selectors import quality
from annotations.selectors import releases as release_selectors
from annotations.selectors import suspects as suspect_selectors
from annotations.selectors.jobs import get_job
from annotations.selectors.previews import annotators
from annotations.selectors.quality import Filter
from annotations.services import consensus as consensus_service
from annotations.services import gold as gold_service
from annotations.services import suspects as suspect_service

SHOWN = 60
VIEWS = [
    ("pages:quality", "Work", Role.ANNOTATOR),
    ("pages:quality_models", "Models", Role.MANAGER),
    ("pages:quality_agreement", "Agreement", Role.MANAGER),
    ("pages:quality_gold", "Gold images", Role.MANAGER),
    ("pages:quality_suspects", "Suspicious labels", Role.REVIEWER),
]


def _context(request: HttpRequest, project_id: int, view: str, least: Role) -> dict[str, Any]:
    """What every dashboard shows: the filters and the other dashboards."""
    context = project_context(request, project_id, "pages:quality", least)
    project, user = context["project"], person(request)
    asked = request.GET
    wanted = Filter(
        start=_day(asked.get("start")),
        end=_day(asked.get("end")),
        category=_number(asked.get("category")),
        batch=_number(asked.get("batch")),
        person=quality.person_named(project, asked["person"]) if asked.get("person") else None,
    )
    chosen = {
        "start": wanted.start,
        "end": wanted.end,
        "category": wanted.category,
        "batch": wanted.batch,
        "person": asked.get("person", "") if wanted.person else "",
    }
    query = "&".join(f"{name}={value}" for name, value in chosen.items() if value)
    return context | {
        "wanted": wanted,
        "chosen": chosen,
        "query": query,
        "people": annotators(user, project) if context["can_manage"] else [],
        "categories": project.categories.all(),
        "batches": project.batches.all(),
        "current_view": view,
        "views": [
            (name, title) for name, title, needed in VIEWS if at_least(context["role"], needed)
        ],
        "waiting_facts": quality.waiting(project),
    }


def _day(text: str | None) -> date | None:
    try:
        return parse_date(text or "")
    except ValueError:
        return None


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and len(text) < 19 else None


def _tables(context: dict[str, Any], request: HttpRequest, *names: str) -> dict[str, Any]:
    project, user = context["project"], person(request)
    return {name: quality.report(user, project, name, context["wanted"]) for name in names}


@read
def overview(request: HttpRequest, project_id: int) -> HttpResponse:
    """Throughput, people, categories; the own numbers below manager."""
    context = _context(request, project_id, "pages:quality", Role.ANNOTATOR)
    context |= {"tables": _tables(context, request, "days", "people", "categories")}
    rows = context["tables"]["days"].rows
    context["sums"] = {
        name: sum(row[name] for row in rows) for name in ("annotations", "approved", "hours")
    } | {"regions": sum(row["regions"] for row in rows)}
    if context["can_manage"]:
        context["forecast"] = quality.forecast(person(request), context["project"])
        context["tables"] |= _tables(context, request, "confusion")
    return render(request, "annotations/quality/overview.html", context)


@read
def models(request: HttpRequest, project_id: int) -> HttpResponse:
    context = _context(request, project_id, "pages:quality_models", Role.MANAGER)
    names = ("models", "model_categories", "model_days", "model_confusion")
    context |= {"tables": _tables(context, request, *names)}
    for row in context["tables"]["model_days"].rows:
        row["label"] = f"{row['model']} {row['model_version'][:12]}".strip()
    return render(request, "annotations/quality/models.html", context)


@read
def agreement(request: HttpRequest, project_id: int) -> HttpResponse:
    context = _context(request, project_id, "pages:quality_agreement", Role.MANAGER)
    context |= {"tables": _tables(context, request, "agreement", "pairs", "agreement_days")}
    context |= {
        "methods": consensus_service.METHODS.items(),
        "several": consensus_service.candidates(context["project"]).count(),
    }
    return render(request, "annotations/quality/agreement.html", context)


@action("pages:quality_agreement")
def consensus(request: HttpRequest, project_id: int) -> HttpResponse | None:
    project = project_context(request, project_id, "", Role.MANAGER)["project"]
    method = request.POST.get("method", "majority")
    job = consensus_service.start(
        person(request), project, method=method, key=request.POST.get("key", "")
    )
    return redirect("pages:job", job.pk)


@require_POST
@page
def undo_consensus(request: HttpRequest, job_id: int) -> HttpResponse:
    job = get_job(person(request), job_id)
    try:
        removed = consensus_service.undo(person(request), job)
        messages.success(request, f"{removed} predictions were removed.")
    except ServiceError as error:
        if error.status in (403, 404):
            raise
        refused(request, error)
    return redirect("pages:job", job_id)


@require_http_methods(["GET", "HEAD", "POST"])
@page
def gold_images(request: HttpRequest, project_id: int) -> HttpResponse:
    """Which images score people, and approved ones that could."""
    context = _context(request, project_id, "pages:quality_gold", Role.MANAGER)
    project, user = context["project"], person(request)
    if request.method == "POST":
        picked = [int(pk) for pk in request.POST.getlist("annotations") if _number(pk)]
        try:
            made = gold_service.add(user, project, picked)
            messages.success(request, f"{len(made)} images are gold now.")
        except ServiceError as error:
            if error.status in (403, 404):
                raise
            refused(request, error)
        return redirect("pages:quality_gold", project.pk)
    rows = Gold.objects.visible_to(user).filter(image__project=project)
    approved = Annotation.objects.filter(project=project, status=Annotation.Status.APPROVED)
    context |= {
        "gold": rows.select_related("image", "truth__annotator").order_by("-pk")[:SHOWN],
        "gold_total": rows.count(),
        "candidates": approved.filter(image__gold=None)
        .select_related("image", "annotator")
        .order_by("-approved_at")[:SHOWN],
        "tables": _tables(context, request, "people", "confusion"),
    }
    return render(request, "annotations/quality/gold.html", context)


@action("pages:quality_gold")
def remove_gold(request: HttpRequest, project_id: int, gold_id: int) -> None:
    project_context(request, project_id, "", Role.MANAGER)
    rows = Gold.objects.filter(image__project=project_id).select_related("image")
    gold_service.remove(person(request), find(rows, person(request), pk=gold_id))
    messages.success(request, "The image is an ordinary one again.")


@require_http_methods(["GET", "HEAD", "POST"])
@page
def suspects(request: HttpRequest, project_id: int) -> HttpResponse:
    """The ranking; a POST asks for a new one."""
    context = _context(request, project_id, "pages:quality_suspects", Role.REVIEWER)
    project, user = context["project"], person(request)
    if request.method == "POST":
        return redirect("pages:job", suspect_service.start(user, project).pk)
    reason = request.GET.get("reason", "")
    reason = reason if reason in Suspicion.Reason.values else ""
    rows = suspect_selectors.list_suspicions(user, project, reason=reason)
    counts = suspect_service.by_reason(project)
    judged = Suspicion.objects.filter(project=project).exclude(verdict="")
    context |= {
        "suspicions": rows[:SHOWN],
        "open": sum(counts.values()),
        "reason": reason,
        "reasons": [(r.value, r.label, counts[r.value]) for r in Suspicion.Reason if r in counts],
        "judged": {
            v.label: count for v in Suspicion.Verdict if (count := judged.filter(verdict=v).count())
        },
    }
    return render(request, "annotations/quality/suspects.html", context)


@action("pages:quality_suspects")
def judge(request: HttpRequest, project_id: int, suspicion_id: int) -> HttpResponse | None:
    project_context(request, project_id, "", Role.REVIEWER)
    rows = Suspicion.objects.filter(project=project_id)
    suspicion = find(rows, person(request), pk=suspicion_id)
    suspect_service.judge(person(request), suspicion, request.POST.get("verdict", ""))
    if request.headers.get("HX-Request") == "true":
        return HttpResponse("")
    return None


@read
def release(request: HttpRequest, release_id: int) -> HttpResponse:
    """A report to print: how good the ground truth was when the release was made."""
    found = release_selectors.get_release(person(request), release_id, Role.MANAGER)
    context = project_context(request, found.project_id, "pages:releases", Role.MANAGER)
    context["wanted"] = Filter(end=found.created_at.date())
    names = ("people", "categories", "confusion", "models", "agreement", "days")
    tables = _tables(context, request, *names)
    rows = tables["days"].rows
    context |= {
        "release": found,
        "tables": tables,
        "hours": sum(row["hours"] for row in rows),
        "suspicious": Suspicion.objects.filter(project=found.project_id, verdict="").count(),
    }
    return render(request, "annotations/quality/release.html", context)
