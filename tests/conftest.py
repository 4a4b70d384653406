"""People, projects and images that tests share."""

import hashlib
import itertools
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from django.core.cache import cache
from django.db import connections
from django.db.models import F
from django.utils import timezone
from hypothesis import HealthCheck, settings
from rest_framework.test import APIClient

from annotations.masks import rle
from annotations.models import (
    Annotation,
    Category,
    Image,
    Membership,
    Prediction,
    Project,
    Proposal,
    Region,
    RegionRevision,
    StoredFile,
    User,
)
from annotations.services import thumbnails
from tests import templates
from tests.servers import object_store

__all__ = ["object_store"]

_numbers = itertools.count(1)
# A machine with other work takes long to make up examples, which says nothing about the product.
settings.register_profile("busy", suppress_health_check=[HealthCheck.too_slow], deadline=None)
settings.load_profile("busy")
COLORS = ["#e69f00", "#56b4e9", "#009e73", "#f0e442"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what asks the database, which is all that PostgreSQL can answer otherwise."""
    for item in items:
        if item.get_closest_marker("sqlite"):
            continue
        asks = {"db", "transactional_db"} & set(getattr(item, "fixturenames", ()))
        if asks or item.get_closest_marker("django_db"):
            item.add_marker(pytest.mark.database)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    tmp_path_factory, django_db_modify_db_settings_parallel_suffix
) -> None:
    """The tests' database is a copy of one that was migrated before.

    SQLite in a file: threads of one test must see one database, as processes do.
    """
    database = connections["default"].settings_dict
    if database["ENGINE"].endswith("sqlite3"):
        path = tmp_path_factory.mktemp("database") / "test.sqlite3"
        shutil.copy(templates.sqlite(), path)
        database["TEST"]["NAME"] = str(path)
    elif template := os.environ.get("DATABASE_TEMPLATE"):
        database["TEST"]["TEMPLATE"] = template


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """The copy is not replaced by an empty file."""
    return connections["default"].vendor == "sqlite"


@pytest.fixture(autouse=True)
def _own_files(settings, tmp_path, monkeypatch) -> Iterator[None]:
    """No test touches the files or the cache of another, nor those of the installation."""
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.SPOOL_DIR = tmp_path / "spool"
    settings.MODELS_DIR = tmp_path / "models"
    # Otherwise each test client begins with a look at every static file there is.
    settings.WHITENOISE_AUTOREFRESH = True
    # No thread makes thumbnails while the test's rows and files come and go.
    monkeypatch.setattr(thumbnails, "_later", lambda rows: None)
    cache.clear()
    yield
    cache.clear()


@pytest.fixture(autouse=True)
def _regions_know_their_image(request) -> Iterator[None]:
    """Whatever way a test made regions, each has the image of its annotation.

    The list of a category's images goes by it.
    """
    asks = request.node.get_closest_marker("database")
    if asks:
        request.getfixturevalue("db")  # which ends after this
    yield
    if asks and not connections["default"].needs_rollback:
        strays = Region.objects.exclude(image=F("annotation__image"))
        assert not strays.exists(), "a region is made without its image"


@pytest.fixture
def shared_data() -> Path:
    """The folder of sample data sets beside the repository; skips where there is none."""
    folder = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no sample data beside the repository")
    return folder


def _user(username: str) -> User:
    """Seen a moment ago, so that no test counts the write that says so."""
    return User.objects.create(username=username, last_seen_at=timezone.now())


@pytest.fixture
def owner(db) -> User:
    return _user("owner")


@pytest.fixture
def manager(db) -> User:
    return _user("manager")


@pytest.fixture
def reviewer(db) -> User:
    return _user("reviewer")


@pytest.fixture
def teammate(db) -> User:
    """An annotator."""
    return _user("teammate")


@pytest.fixture
def stranger(db) -> User:
    """Logged in, and a member of no project."""
    return _user("stranger")


def new_project(
    people: Mapping[str, User],
    kind: str = "instance",
    categories: tuple[str, ...] = ("car", "road"),
) -> Project:
    """`people` by their roles."""
    project = Project.objects.create(
        name=f"Project {next(_numbers)}", kind=kind, created_by=people["owner"]
    )
    Membership.objects.bulk_create(
        Membership(project=project, user=user, role=role) for role, user in people.items()
    )
    Category.objects.bulk_create(
        Category(
            project=project,
            name=name,
            color=COLORS[index % len(COLORS)],
            hotkey=str(index + 1) if index < 9 else "",
            order=index,
            export_id=index + 1,
        )
        for index, name in enumerate(categories)
    )
    return project


@pytest.fixture
def make_project(owner, manager, reviewer, teammate) -> Callable[..., Project]:
    """`make_project(kind="instance", categories=("car", "road"))`: with everyone but `stranger`."""
    people = {"owner": owner, "manager": manager, "reviewer": reviewer, "annotator": teammate}
    return partial(new_project, people)


@pytest.fixture
def project(make_project) -> Project:
    """An instance project."""
    return make_project()


def new_image(
    project: Project, width: int = 8, height: int = 6, name: str = "", status: str = "new"
) -> Image:
    number = next(_numbers)
    sha256 = hashlib.sha256(f"image {number}".encode()).hexdigest()
    file = StoredFile.objects.create(
        sha256=sha256,
        original=f"originals/{sha256}",
        original_type="image/png",
        upright=f"upright/{sha256}.png",
        upright_type="image/png",
        thumbnail=f"thumbnails/{sha256}.webp",
        width=width,
        height=height,
        bytes=100,
    )
    return Image.objects.create(
        project=project,
        file=file,
        name=name or f"image {number}.png",
        width=width,
        height=height,
        status=status,
    )


@pytest.fixture
def make_image(db) -> Callable[..., Image]:
    """`make_image(project, width=8, height=6)`: rows only, no file behind them."""
    return new_image


@pytest.fixture
def image(project, make_image) -> Image:
    return make_image(project)


def new_annotation(
    image: Image, annotator: User, status: str = "in_progress", regions: int = 0
) -> Annotation:
    annotation = Annotation.objects.create(
        project=image.project,
        image=image,
        annotator=annotator,
        status=status,
        revision=regions,
    )
    Image.objects.filter(pk=image.pk).update(has_place=False)
    category = image.project.categories.first()
    made = Region.objects.bulk_create(
        Region(
            uuid=uuid.uuid4(),
            annotation=annotation,
            image=image,
            category=category,
            counts=box_counts(image, column % image.width, 0, 1, image.height),
            area=image.height,
            bbox=[column % image.width, 0, 1, image.height],
            source="brush",
            version=1,
            author=annotator,
        )
        for column in range(regions)
    )
    RegionRevision.objects.bulk_create(
        RegionRevision(
            region=region,
            version=1,
            write=uuid.uuid4(),
            author=annotator,
            category=category,
            counts=region.counts,
            source="brush",
        )
        for region in made
    )
    return annotation


@pytest.fixture
def make_annotation(db) -> Callable[..., Annotation]:
    """`make_annotation(image, user, status="in_progress", regions=0)`.

    Region number i covers column i of the image.
    """
    return new_annotation


@pytest.fixture
def make_prediction(db) -> Callable[..., Prediction]:
    """`make_prediction(image, proposals=2)`: proposal number i covers column i of the image."""

    def make(image: Image, proposals: int = 2, model: str = "fake") -> Prediction:
        prediction = Prediction.objects.create(image=image, model=model, model_version="1")
        category = image.project.categories.first()
        Proposal.objects.bulk_create(
            Proposal(
                prediction=prediction,
                category=category,
                counts=box_counts(image, column % image.width, 0, 1, image.height),
                area=image.height,
                bbox=[column % image.width, 0, 1, image.height],
                score=0.9 - column / 1000,
            )
            for column in range(proposals)
        )
        return prediction

    return make


def box_counts(image: Image, x: int, y: int, width: int, height: int) -> str:
    """The mask of a box in the image, as COCO compressed counts."""
    mask = np.zeros((image.height, image.width), dtype=bool)
    mask[y : y + height, x : x + width] = True
    return rle.encode(mask)


@pytest.fixture
def client_of() -> Callable[[User | None], APIClient]:
    """`client_of(user)`: a logged-in API client; `client_of(None)`: an anonymous one."""

    def make(user: User | None) -> APIClient:
        client = APIClient()
        if user is not None:
            client.force_login(user)
        return client

    return make
