"""Wiring only: settings, URLs and the Celery app."""

from labeler.celery import app as celery_app

__all__ = ["celery_app"]
