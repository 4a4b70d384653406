"""A short run of `script/chaos`, and its controls."""

import pytest

from tests.servers import find_program
from tests.trust import chaos

needs_postgres = pytest.mark.skipif(
    not find_program("initdb"), reason="PostgreSQL is not installed: apt install postgresql"
)
DATABASES = ["sqlite", pytest.param("postgres", marks=[pytest.mark.postgres, needs_postgres])]


@pytest.mark.parametrize("database", DATABASES)
def test_no_save_is_lost_or_doubled(database):
    report = chaos.run(database, chaos.Plan(8, clients=4, together=3))
    assert not report.lost, report
    assert not report.wrong, report
    assert report.outcomes[chaos.OK] > 5, report
    assert report.kills["gunicorn"], report


@pytest.mark.parametrize("database", DATABASES)
def test_the_check_finds_a_planted_fault(database):
    for seed in range(3):  # a kill may come at a harmless moment
        report = chaos.run(database, chaos.Plan(8, clients=4, seed=seed), control=True)
        if report.lost:
            return
    pytest.fail(str(report))
