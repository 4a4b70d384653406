"""Requests that schemathesis makes from our own schema, as everybody, to a project with everything.

    script/fuzz_api [examples] [--postgres]      # of each operation and role

Each operation alone, then chains of operations that hand ids on (schemathesis finds them by the
names in the schema). Half of the addresses are of things that are there (`access_table`). What
a request or a chain changes is rolled back. No answer is a server error, and what is answered has
the status, the type and the shape that the schema promises.
"""

import random
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import schemathesis
from django.core import signals
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from django.urls import resolve
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.stateful import run_state_machine_as_test
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from annotations.models import User
from annotations.services.people import create_token
from tests.trust.access_table import API
from tests.trust.everybody import filled

ROLES = ("anonymous", "stranger", "annotator", "reviewer", "manager", "owner")
SCHEMA = Path(__file__).parents[2] / "frontend" / "api" / "openapi.yaml"
"""`script/lint` sees to it that it is the one of the code."""


def no_server_error(ctx: Any, response: Any, case: Any) -> None:
    """503 is an answer where the schema says so: no worker is there."""
    if response.status_code >= 500 and response.status_code != 503:
        raise AssertionError(f"{response.status_code}: {response.text[:500]}")


CHECKS = [
    no_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
STEPS = 12
"""Requests in a chain."""


class Fuzz:
    """`people` and `things` as in `tests.trust.everybody`; `answers` counts statuses."""

    def __init__(self, people: dict[str, User | None], things: dict[str, Any]) -> None:
        self.schema = schemathesis.openapi.from_path(SCHEMA)
        self.schema.app = get_wsgi_application()
        self.tokens = {role: create_token(user)[1] for role in ROLES if (user := people[role])}
        self.there: dict[str, list[dict[str, Any]]] = {}
        self.bodies: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for row in API:
            match = resolve(row.path.partition("?")[0].format(**things))
            named = {
                "id" if name == "pk" else name: one if isinstance(one, int) else str(one)
                for name, one in match.kwargs.items()
            }
            shape, body = _shape(f"/{match.route}"), filled(row.body, things)
            self.there.setdefault(shape, []).append(named)
            if isinstance(body, dict) and "FILE" not in body.values():
                self.bodies.setdefault((row.method, shape), []).append(body)
        self.answers: Counter[int] = Counter()

    def operations(self) -> list[Any]:
        found = [one.ok() for one in self.schema.get_all_operations() if isinstance(one, Ok)]
        assert len(found) > 100
        return found

    def alone(self, operation: Any, role: str, examples: int) -> None:
        """So many requests to one operation."""

        @_settings(examples)
        @given(operation.as_strategy())
        def one(case: Any) -> None:
            with _undone():
                self._aim(case)
                answer = case.call_and_validate(headers=self._headers(role), checks=CHECKS)
                self.answers[answer.status_code] += 1

        one()

    def chained(self, role: str, examples: int) -> None:
        """So many chains of requests, each step with what the ones before gave."""
        fuzz = self

        # The base is made while this runs.
        class Chain(self.schema.as_state_machine()):  # type: ignore[misc]
            def setup(self) -> None:
                self.undone = _undone()
                self.undone.__enter__()

            def teardown(self) -> None:
                self.undone.__exit__(None, None, None)

            def before_call(self, case: Any) -> None:
                fuzz._aim(case)

            def after_call(self, response: Any, case: Any) -> None:
                fuzz.answers[response.status_code] += 1

            def get_call_kwargs(self, case: Any) -> dict[str, Any]:
                return {"headers": fuzz._headers(role)}

            def validate_response(self, response: Any, case: Any, **_: Any) -> None:
                case.validate_response(response, checks=CHECKS)

        run_state_machine_as_test(Chain, settings=_settings(examples, stateful_step_count=STEPS))

    def _headers(self, role: str) -> dict[str, str]:
        return {"Authorization": f"Token {self.tokens[role]}"} if role in self.tokens else {}

    def _aim(self, case: Any) -> None:
        """Half of the cases go to something that is there, half of the bodies are good but for some
        fields: a choice by the case alone, so that hypothesis can repeat it."""
        chance = random.Random(repr((case.path_parameters, case.query, case.body)))
        shape = _shape(case.operation.path)
        if case.path_parameters and chance.random() < 0.5:
            case.path_parameters = dict(chance.choice(self.there[shape]))
        good = self.bodies.get((case.method, shape))
        if good and isinstance(case.body, dict) and chance.random() < 0.5:
            odd = {key: value for key, value in case.body.items() if chance.random() < 0.4}
            case.body = chance.choice(good) | odd


def _shape(address: str) -> str:
    """The same for `/api/jobs/{id}` of the schema and `/api/jobs/<int:pk>` of the routes."""
    return re.sub(r"<[^>]*>|{[^}]*}", "*", address)


@contextmanager
def _undone() -> Iterator[None]:
    """What is changed inside is rolled back; requests keep the connection meanwhile."""
    for signal in (signals.request_started, signals.request_finished):
        signal.disconnect(close_old_connections)
    point = transaction.savepoint()
    try:
        yield
    finally:
        transaction.savepoint_rollback(point)
        for signal in (signals.request_started, signals.request_finished):
            signal.connect(close_old_connections)


def _settings(examples: int, **more: Any) -> settings:
    return settings(
        max_examples=examples, deadline=None, database=None, derandomize=examples < 50,
        phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck), **more,
    )  # fmt: skip
