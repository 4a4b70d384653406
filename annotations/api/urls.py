"""Routes."""

from django.urls import URLPattern, path

from annotations.api import images, jobs

urlpatterns: list[URLPattern] = [
    path("projects/<int:project_id>/images", images.Images.as_view()),
    path("images/<int:image_id>", images.OneImage.as_view()),
    path("images/<int:image_id>/file", images.ImageFile.as_view()),
    path("images/<int:image_id>/thumbnail", images.Thumbnail.as_view()),
    path("images/<int:image_id>/original", images.Original.as_view()),
    path("projects/<int:project_id>/jobs", jobs.Jobs.as_view()),
    path("jobs/<int:job_id>", jobs.OneJob.as_view()),
    path("jobs/<int:job_id>/items", jobs.JobItems.as_view()),
    path("jobs/<int:job_id>/cancel", jobs.CancelJob.as_view()),
    path("jobs/<int:job_id>/retry", jobs.RetryJob.as_view()),
]
