"""Routes of the pages. `docs/architecture.md` lists them."""

from django.urls import path

from annotations.pages import (
    account,
    attributes,
    datasets,
    editor,
    images,
    jobs,
    members,
    notifications,
    people,
    projects,
    quality,
    releases,
    reviews,
    settings,
    work,
)

app_name = "pages"
urlpatterns = [
    path("login", account.login, name="login"),
    path("logout", account.logout, name="logout"),
    path("theme", account.theme, name="theme"),
    path("account", account.account, name="account"),
    path("account/tokens", account.make_token, name="make_token"),
    path("account/tokens/<str:key>/revoke", account.revoke_token, name="revoke_token"),
    path("notifications", notifications.overview, name="notifications"),
    path("notifications/read", notifications.mark_read, name="read_notifications"),
    path("notifications/kinds", notifications.choose, name="choose_notifications"),
    path(
        "notifications/<int:notification_id>/follow",
        notifications.follow,
        name="follow_notification",
    ),
    path("", projects.projects, name="projects"),
    path("projects/new", projects.new_project, name="new_project"),
    path("projects/new/categories", projects.preview_categories, name="preview_categories"),
    path("projects/<int:project_id>", projects.project, name="project"),
    path("projects/<int:project_id>/next", projects.next_image, name="next"),
    path("projects/<int:project_id>/upload", images.upload, name="upload"),
    path("projects/<int:project_id>/images/delete", projects.delete_images, name="delete_images"),
    path("projects/<int:project_id>/settings", settings.settings, name="settings"),
    path("projects/<int:project_id>/archive", settings.archive_project, name="archive_project"),
    path("projects/<int:project_id>/restore", settings.restore_project, name="restore_project"),
    path("projects/<int:project_id>/delete", settings.delete_project, name="delete_project"),
    path("projects/<int:project_id>/categories", settings.add_category, name="add_category"),
    path(
        "projects/<int:project_id>/categories/<int:category_id>",
        settings.change_category,
        name="change_category",
    ),
    path(
        "projects/<int:project_id>/categories/<int:category_id>/move",
        settings.move_category,
        name="move_category",
    ),
    path(
        "projects/<int:project_id>/categories/<int:category_id>/archive",
        settings.archive_category,
        name="archive_category",
    ),
    path(
        "projects/<int:project_id>/categories/<int:category_id>/restore",
        settings.restore_category,
        name="restore_category",
    ),
    path("categories/<int:category_id>/attributes", attributes.attributes, name="attributes"),
    path("projects/<int:project_id>/members", members.members, name="members"),
    path(
        "projects/<int:project_id>/members/<int:member_id>",
        members.change_member,
        name="change_member",
    ),
    path(
        "projects/<int:project_id>/members/<int:member_id>/remove",
        members.remove_member,
        name="remove_member",
    ),
    path("projects/<int:project_id>/invitations", people.invite, name="invite"),
    path(
        "projects/<int:project_id>/invitations/<int:invitation_id>/withdraw",
        people.withdraw,
        name="withdraw",
    ),
    path("invitations/<str:secret>", people.accept, name="accept"),
    path("projects/<int:project_id>/audit", people.audit, name="audit"),
    path("projects/<int:project_id>/work", work.overview, name="work"),
    path("projects/<int:project_id>/place", work.place, name="place"),
    path("projects/<int:project_id>/batches", work.add_batch, name="add_batch"),
    path(
        "projects/<int:project_id>/batches/<int:batch_id>", work.change_batch, name="change_batch"
    ),
    path(
        "projects/<int:project_id>/batches/<int:batch_id>/move", work.move_batch, name="move_batch"
    ),
    path(
        "projects/<int:project_id>/batches/<int:batch_id>/remove",
        work.remove_batch,
        name="remove_batch",
    ),
    path(
        "projects/<int:project_id>/leases/<int:lease_id>/take_away",
        work.take_away,
        name="take_away",
    ),
    path(
        "projects/<int:project_id>/leases/<int:lease_id>/offer_again",
        work.offer_again,
        name="offer_again",
    ),
    path("projects/<int:project_id>/review", reviews.review, name="review"),
    path(
        "projects/<int:project_id>/accept_unsampled",
        reviews.accept_unsampled,
        name="accept_unsampled",
    ),
    path("projects/<int:project_id>/quality", quality.overview, name="quality"),
    path("projects/<int:project_id>/quality/models", quality.models, name="quality_models"),
    path(
        "projects/<int:project_id>/quality/agreement", quality.agreement, name="quality_agreement"
    ),
    path("projects/<int:project_id>/quality/gold", quality.gold_images, name="quality_gold"),
    path(
        "projects/<int:project_id>/quality/gold/<int:gold_id>/remove",
        quality.remove_gold,
        name="remove_gold",
    ),
    path("projects/<int:project_id>/quality/consensus", quality.consensus, name="make_consensus"),
    path("projects/<int:project_id>/quality/suspects", quality.suspects, name="quality_suspects"),
    path(
        "projects/<int:project_id>/quality/suspects/<int:suspicion_id>",
        quality.judge,
        name="judge_suspicion",
    ),
    path("releases/<int:release_id>/quality", quality.release, name="release_quality"),
    path("projects/<int:project_id>/releases", releases.list_releases, name="releases"),
    path("releases/<int:release_id>", releases.one, name="release"),
    path("releases/<int:release_id>/diff", releases.difference, name="release_diff"),
    path("releases/<int:release_id>/name", releases.name, name="name_release"),
    path("releases/<int:release_id>/remove", releases.remove, name="remove_release"),
    path("projects/<int:project_id>/export", datasets.export, name="export"),
    path("projects/<int:project_id>/import", datasets.import_, name="import"),
    path("projects/<int:project_id>/jobs", jobs.jobs, name="jobs"),
    path("jobs/<int:job_id>", jobs.job, name="job"),
    path("jobs/<int:job_id>/cancel", jobs.cancel, name="cancel_job"),
    path("jobs/<int:job_id>/undo", quality.undo_consensus, name="undo_consensus"),
    path("jobs/<int:job_id>/retry", jobs.retry, name="retry_job"),
    path("images/<int:image_id>/edit", editor.edit, name="edit"),
]
