"""The forms of the pages."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.urls import reverse_lazy

from annotations.errors import ServiceError
from annotations.formats import splits
from annotations.models import Event, Project, Release, Scope
from annotations.models.projects import Role
from annotations.pages.categories import TypedCategory, parse_categories
from annotations.services.invitations import MAX_DAYS
from annotations.services.logins import count_attempt


class LoginForm(AuthenticationForm):
    error_messages = {
        "invalid_login": "The name and the password do not belong together.",
        "inactive": "This account is switched off.",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = "Name"

    def clean(self) -> dict[str, Any]:
        assert self.request  # the page always gives it
        try:
            count_attempt(self.request, self.cleaned_data.get("username", ""))
        except ServiceError as error:
            raise forms.ValidationError(f"{error.detail} {error.hint}") from None
        return super().clean()


class PasswordForm(PasswordChangeForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["old_password"].widget.attrs.pop("autofocus", None)
        self.fields["new_password2"].label = "New password again"
        self.fields["new_password2"].help_text = ""


class NewProjectForm(forms.Form):
    name = forms.CharField(max_length=200, widget=forms.TextInput(attrs={"autofocus": True}))
    kind = forms.ChoiceField(choices=Project.Kind.choices)
    categories = forms.CharField(
        required=False,
        widget=forms.Textarea(
            attrs={
                "rows": 9,
                "placeholder": "car\nperson\nroad #7a7f87 stuff",
                "spellcheck": "false",
                "hx-post": reverse_lazy("pages:preview_categories"),
                "hx-trigger": "input delay:250ms, change from:'input[name=kind]'",
                "hx-target": "#preview",
                "hx-sync": "this:replace",
            }
        ),
    )
    guidelines = forms.CharField(
        required=False,
        max_length=50_000,
        help_text="What annotators must know. They can read it while they label.",
        widget=forms.Textarea(attrs={"rows": 5}),
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        try:
            cleaned["typed"] = parse_categories(
                cleaned.get("categories", ""), cleaned.get("kind", "")
            )
        except forms.ValidationError as error:
            self.add_error("categories", error)
        return cleaned

    @property
    def typed(self) -> list[TypedCategory]:
        return self.cleaned_data["typed"]


class GeneralForm(forms.Form):
    name = forms.CharField(max_length=200)
    guidelines = forms.CharField(
        required=False,
        max_length=50_000,
        help_text="What annotators must know. They can read it while they label.",
        widget=forms.Textarea(attrs={"rows": 10}),
    )

    def __init__(self, *args: Any, may_rename: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].disabled = not may_rename
        if not may_rename:
            self.fields["name"].help_text = "An owner can rename the project."


class CategoryForm(forms.Form):
    name = forms.CharField(max_length=200)
    supercategory = forms.CharField(max_length=200, required=False)
    color = forms.RegexField(r"^#[0-9a-fA-F]{6}$")
    hotkey = forms.CharField(max_length=1, required=False)
    is_thing = forms.TypedChoiceField(
        choices=[("True", "Thing"), ("False", "Stuff")], coerce=lambda value: value == "True"
    )


class MemberForm(forms.Form):
    username = forms.CharField(
        max_length=150,
        label="Name",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, roles: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"] = forms.ChoiceField(choices=roles)


class RoleForm(forms.Form):
    role = forms.ChoiceField(choices=Role.choices)


class TeamForm(forms.Form):
    name = forms.CharField(max_length=200)
    installation = forms.BooleanField(
        required=False, label="Of the whole installation: staff decide who is in it"
    )


class TeamMemberForm(forms.Form):
    username = forms.CharField(
        max_length=150,
        label="Name",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )


class LentTeamForm(forms.Form):
    team = forms.IntegerField(min_value=1, max_value=2**63 - 1)
    role = forms.ChoiceField(choices=Role.choices)


class InvitationForm(forms.Form):
    role = forms.ChoiceField(choices=Role.choices)
    days = forms.IntegerField(min_value=1, max_value=MAX_DAYS, initial=7)


class SignUpForm(forms.Form):
    username = forms.CharField(max_length=150, label="User name")
    password = forms.CharField(
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )


class TokenForm(forms.Form):
    name = forms.CharField(max_length=100, required=False)
    scope = forms.ChoiceField(choices=Scope.choices)
    days = forms.IntegerField(required=False, min_value=1, max_value=3650)


WANTED = [
    ("approved", "Approved only"),
    ("submitted", "Approved and submitted"),
    ("all", "All, finished or not"),
]


class ReleaseForm(forms.Form):
    name = forms.CharField(max_length=200, help_text="Such as v1 or 2026-11.")
    status = forms.ChoiceField(choices=WANTED, initial="approved", label="Annotations")
    search = forms.CharField(
        max_length=200, required=False, label="Names with", help_text="Empty: all images."
    )
    annotator = forms.CharField(
        max_length=150, required=False, help_text="Empty: everybody’s annotations."
    )
    key = forms.CharField(max_length=40, widget=forms.HiddenInput)  # sent twice is one release


class ExportForm(forms.Form):
    format = forms.CharField(max_length=40)
    release = forms.TypedChoiceField(
        required=False,
        coerce=int,
        empty_value=None,
        help_text="A release always makes the same file.",
    )
    status = forms.ChoiceField(choices=WANTED, initial="approved", label="Annotations")
    split = forms.CharField(
        max_length=40,
        required=False,
        label="Train / val / test",
        help_text="Such as 80/10/10. Empty: no splits.",
        widget=forms.TextInput(attrs={"placeholder": "80/10/10", "inputmode": "numeric"}),
    )
    seed = forms.CharField(
        max_length=100, required=False, help_text="Another seed gives other splits."
    )
    stratify = forms.BooleanField(
        required=False, label="Share out each category by these parts (stratified)"
    )
    images = forms.BooleanField(required=False, label="Put the images in the archive")
    key = forms.CharField(max_length=40, widget=forms.HiddenInput)  # sent twice is one export

    def __init__(self, *args: Any, releases: Iterable[Release], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        now = ("", "What there is now")
        choices = [now, *((release.pk, str(release)) for release in releases)]
        self.fields["release"].choices = choices  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """The arguments of an export; the splits become its options."""
        asked = super().clean() or self.cleaned_data
        split, seed, stratify = (asked.pop(n, "") for n in ("split", "seed", "stratify"))
        asked["options"] = {}
        if split:
            try:
                fractions = splits.parse(split)
            except ValueError:
                raise forms.ValidationError({"split": "Splits look like 80/10/10."}) from None
            asked["options"] = {"splits": fractions, "seed": seed, "stratify": stratify}
        return asked


class ImportForm(forms.Form):
    format = forms.CharField(max_length=40)
    kind = forms.ChoiceField(
        choices=[("predictions", "Pre-annotations"), ("ground_truth", "Ground truth")],
        initial="predictions",
    )
    file = forms.FileField()


class WebhookForm(forms.Form):
    url = forms.CharField(
        max_length=500,
        label="Address",
        widget=forms.TextInput(
            attrs={"placeholder": "https://", "inputmode": "url", "spellcheck": "false"}
        ),
    )
    events = forms.MultipleChoiceField(
        choices=Event.choices, label="Tell it of", widget=forms.CheckboxSelectMultiple
    )
