"""The dashboards: charts without inline style, the own numbers below manager, verdicts in place."""

import pytest

from annotations.models import Suspicion
from tests.quality.conftest import draw

A = ("car", 2, 2, 10, 10)


@pytest.fixture
def worked(project, manager, teammate, make_image):
    image = make_image(project, width=40, height=30)
    draw(teammate, image, [A])
    draw(manager, image, [A])
    return project


def test_work_is_charted_and_no_style_is_inline(
    worked, owner, browse, django_assert_max_num_queries
):
    with django_assert_max_num_queries(46):
        text = browse(owner).get(f"/projects/{worked.pk}/quality").content.decode()
    assert 'aria-label="Annotations submitted by day"' in text
    assert '<rect class="s0"' in text
    assert "style=" not in text
    assert f"/api/projects/{worked.pk}/quality/people?form=csv" in text


def test_an_annotator_reads_the_own_numbers_only(worked, teammate, browse):
    text = browse(teammate).get(f"/projects/{worked.pk}/quality").content.decode()
    assert "your own numbers" in text
    assert '<td class="break">teammate</td>' in text
    assert '<td class="break">manager</td>' not in text
    assert "Gold" not in text


def test_a_filter_that_means_nothing_is_none(worked, owner, browse):
    for query in ("start=yesterday", "category=x", "person=nobody", "batch=-1", "end=2026-99-99"):
        assert browse(owner).get(f"/projects/{worked.pk}/quality?{query}").status_code == 200


def test_a_verdict_takes_its_card_away(worked, reviewer, browse):
    annotation = worked.annotations.first()
    one = Suspicion.objects.create(
        project=worked, annotation=annotation, region=annotation.regions.get(), reason="size",
        detail="large", score=0.5, bbox=[2, 2, 10, 10],
    )  # fmt: skip
    client, url = browse(reviewer), f"/projects/{worked.pk}/quality/suspects"
    assert f'id="suspicion-{one.pk}"' in client.get(url).content.decode()
    reply = client.post(f"{url}/{one.pk}", {"verdict": "right"}, headers={"HX-Request": "true"})
    assert (reply.status_code, reply.content) == (200, b"")
    assert f'id="suspicion-{one.pk}"' not in client.get(url).content.decode()
