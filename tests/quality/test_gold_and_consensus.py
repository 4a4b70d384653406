"""Gold images do not show; consensus overwrites nothing and can be undone."""

import pytest

from annotations.errors import Conflict, Forbidden, NotFound
from annotations.masks import rle
from annotations.models import Annotation, Gold, Image, Job, Membership, Prediction, Region, User
from annotations.selectors.exports import Rule, choose
from annotations.services import consensus, facts, gold, jobs, reviews, work
from tests.quality.conftest import draw

A, B = ("car", 2, 2, 10, 10), ("car", 20, 2, 10, 10)


def approved(user, judge, image, boxes) -> Annotation:
    annotation = draw(user, image, boxes)
    annotation = reviews.approve(judge, annotation, annotation.revision)
    facts.measure_due()
    return annotation


@pytest.fixture
def truth(owner, manager, field) -> Annotation:
    return approved(owner, manager, field(), [A, B])


def test_a_gold_image_comes_to_everybody_like_any_other(project, truth, manager, teammate, other):
    image = truth.image
    assert image.status == "approved"
    assert work.pull(teammate, project) is None
    gold.add(manager, project, [truth.pk])
    assert Image.objects.get(pk=image.pk).status == "new"
    for user in (teammate, other):
        lease = work.pull(user, project)
        assert lease is not None
        assert lease.image_id == image.pk
        draw(user, image, [A])
    assert Image.objects.get(pk=image.pk).status == "submitted"
    assert work.pull(teammate, project) is None


def test_nothing_that_an_annotator_reads_tells_gold(truth, manager, teammate, client_of, field):
    plain = field()
    gold.add(manager, truth.project, [truth.pk])
    draw(teammate, truth.image, [A])
    draw(teammate, plain, [A])
    client, project = client_of(teammate), truth.project_id
    assert client.get(f"/api/projects/{project}/gold").status_code == 403
    pages = [client.get(f"/api/images/{pk}").json() for pk in (truth.image_id, plain.pk)]
    hidden = {"id", "uuid", "name", "url", "thumbnail_url", "created_at", "sha256"}
    for page in pages:
        page["annotations"] = [one | {"id": 0} for one in page["annotations"]]
    one, two = ({k: v for k, v in p.items() if k not in hidden} for p in pages)
    assert one == two
    for report in ("people", "days", "categories"):
        text = client.get(f"/api/projects/{project}/quality/{report}").content.decode()
        assert "gold" not in text
        assert "missing" not in text


def test_an_export_has_the_truth_of_a_gold_image(truth, manager, reviewer, teammate):
    gold.add(manager, truth.project, [truth.pk])
    approved(teammate, reviewer, truth.image, [A])
    chosen = choose([truth.image_id], Rule())
    assert chosen[truth.image_id][0] == truth.pk


def test_scores_come_and_go_with_the_gold(truth, manager, teammate):
    draw(teammate, truth.image, [A])
    (one,) = gold.add(manager, truth.project, [truth.pk])
    facts.measure_due()
    assert Annotation.objects.get(annotator=teammate).fact.gold
    gold.remove(manager, one)
    facts.measure_due()
    assert not Annotation.objects.get(annotator=teammate).fact.gold


def test_only_approved_annotations_of_the_project_become_gold(
    truth, project, make_project, manager, reviewer, teammate, stranger, field
):
    waiting = draw(teammate, field(), [A])
    with pytest.raises(Conflict):
        gold.add(manager, project, [truth.pk, waiting.pk])
    with pytest.raises(NotFound):
        gold.add(manager, make_project(), [truth.pk])
    with pytest.raises(Forbidden):
        gold.add(reviewer, project, [truth.pk])
    with pytest.raises(NotFound):
        gold.add(stranger, project, [truth.pk])
    assert not Gold.objects.exists()


@pytest.fixture
def three(project, teammate, other, field) -> Image:
    """An image that three people labeled, one of them carelessly."""
    careless = User.objects.create(username="careless")
    Membership.objects.create(project=project, user=careless, role="annotator")
    image = field()
    draw(teammate, image, [A, B])
    draw(other, image, [A, ("car", 21, 2, 10, 10)])
    draw(careless, image, [("road", 2, 2, 10, 10), ("car", 36, 26, 3, 3)])
    return image


def run(job: Job) -> Job:
    done = jobs.run(job.pk, consensus.run_consensus)
    assert done is not None
    assert done.state == "done", done.error
    return done


@pytest.mark.parametrize("method", list(consensus.METHODS))
def test_consensus_is_a_proposal_and_touches_nobodys_work(project, three, manager, method):
    before = list(Region.objects.order_by("pk").values())
    run(consensus.start(manager, project, method=method))
    prediction = Prediction.objects.get()
    assert (prediction.model, prediction.model_version) == ("consensus", method)
    found = set(prediction.proposals.values_list("category__name", "area"))
    assert found == {("car", 100), ("car", 90)}  # of B what both have, with two people
    assert list(Region.objects.order_by("pk").values()) == before


def test_consensus_of_stuff_is_by_pixel_and_disjoint(make_project, manager, owner, make_image):
    project = make_project("semantic")
    image = make_image(project, width=40, height=30)
    draw(owner, image, [("road", 0, 0, 30, 30), ("car", 30, 0, 10, 30)])
    draw(manager, image, [("road", 0, 0, 20, 30), ("car", 20, 0, 20, 30)])
    run(consensus.start(owner, project, method="majority"))
    proposals = Prediction.objects.get().proposals.all()
    assert sorted(p.area for p in proposals) == [300, 600]
    assert not rle.overlap([p.counts or "" for p in proposals])


def test_undo_removes_the_proposals_and_keeps_what_was_accepted(project, three, manager, owner):
    job = run(consensus.start(manager, project, method="majority"))
    proposal = Prediction.objects.get().proposals.first()
    assert proposal is not None
    draw(owner, three, [A], proposals=[proposal])
    assert consensus.undo(manager, job) == 1
    assert not Prediction.objects.exists()
    assert Region.objects.get(annotation__annotator=owner).proposal is None


def test_who_may_make_and_undo_a_consensus(project, three, manager, reviewer, stranger):
    for user, error in ((reviewer, Forbidden), (stranger, NotFound)):
        with pytest.raises(error):
            consensus.start(user, project, method="majority")
    job = run(consensus.start(manager, project, method="majority"))
    with pytest.raises(Forbidden):
        consensus.undo(reviewer, job)
    with pytest.raises(Conflict):
        consensus.start(manager, project, method="majority", least=4)
    other = jobs.enqueue(project=project, kind="export", user=manager)
    with pytest.raises(Conflict):
        consensus.undo(manager, other)


def test_a_job_that_runs_again_writes_once(project, three, manager):
    job = consensus.start(manager, project, method="staple")
    run(job)
    Job.objects.filter(pk=job.pk).update(state="queued")
    run(job)
    assert Prediction.objects.count() == 1
