"""A short run of `script/fuzz_api`; FUZZ_EXAMPLES makes it longer."""

import itertools
import os
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage
from rest_framework.response import Response
from schemathesis.core.failures import Failure, FailureGroup

from annotations.api.auth import Me
from inference.services import prompting
from tests.trust.api_fuzz import ROLES, Fuzz

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))


@pytest.fixture
def fuzz(people, things, monkeypatch) -> Fuzz:
    monkeypatch.setattr(prompting, "REPLY_SECONDS", 0.01)  # no worker is there
    monkeypatch.setattr(FileSystemStorage, "delete", lambda *_: None)  # no rollback brings it back
    return Fuzz(people, things)


def failures(fuzz: Fuzz, asked: list[tuple[Any, str]]) -> list[str]:
    found = []
    for operation, role in asked:
        try:
            fuzz.alone(operation, role, EXAMPLES or 1)
        except (Failure, FailureGroup) as error:
            found.append(f"{role}, {operation.label}: {error}")
    print(sorted(fuzz.answers.items()))
    return found


def test_no_request_is_a_server_error(fuzz):
    """In the short run each operation is asked by one of them."""
    operations = fuzz.operations()
    asked = list(itertools.product(operations, ROLES))
    if not EXAMPLES:
        asked = list(zip(operations, itertools.cycle(["owner", *ROLES]), strict=False))
    assert not failures(fuzz, asked)


@pytest.mark.parametrize("role", ROLES if EXAMPLES else ["manager"])
def test_no_chain_of_requests_meets_a_server_error(fuzz, role):
    fuzz.chained(role, EXAMPLES or 2)
    print(sorted(fuzz.answers.items()))


def test_an_answer_that_the_schema_does_not_know_is_found(fuzz, monkeypatch):
    """The control."""
    monkeypatch.setattr(Me, "get", lambda *_: Response({"surprise": 1}, status=500))
    [me] = [one for one in fuzz.operations() if one.label == "GET /api/me"]
    assert failures(fuzz, [(me, "owner")])
