"""WSGI entry point."""

import gc
import os
from importlib import import_module

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "labeler.settings")
application = get_wsgi_application()

import_module("labeler.urls")  # now, and not while the first request waits
# All that is there by now stays. The garbage collector need not look through it every few hundred
# requests, which took 80 ms of one of them.
gc.collect()
gc.freeze()
