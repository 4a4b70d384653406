"""Single sign-on, the whole way, against a provider that speaks HTTP."""

import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import requests
from django.test import Client
from joserfc.jwk import ECKey

from annotations.models import AuditEntry, Identity, User
from annotations.services import people, sso
from tests.work.oidc import Provider

ANNA = {
    "sub": "0042",
    "email": "Anna@example.org",
    "email_verified": True,
    "preferred_username": "anna b",
    "groups": ["admins", "owners"],
}


@pytest.fixture
def provider(db, settings) -> Iterator[Provider]:
    provider = Provider(claims=dict(ANNA))
    settings.OIDC_ISSUER = provider.issuer
    settings.OIDC_CLIENT_ID = provider.client_id
    settings.OIDC_CLIENT_SECRET = provider.client_secret
    yield provider
    provider.close()


def come_back(client: Client, begin: str = "/sso") -> str:
    """From the button to the provider and back: where the provider sends the browser."""
    there = client.get(begin).headers["Location"]
    back = requests.get(there, allow_redirects=False, timeout=5).headers["Location"]
    parts = urlsplit(back)
    return f"{parts.path}?{parts.query}"


def sign_in(client: Client | None = None, begin: str = "/sso") -> tuple[str, str, str]:
    """Where one ends up, as whom, and what the page then says in red."""
    client = client or Client()
    reply = client.get(come_back(client, begin), follow=True)
    me = client.get("/api/me").json().get("username", "")
    said = [str(one) for one in reply.context["messages"] if one.level_tag == "error"]
    return reply.redirect_chain[-1][0], me, " ".join(said)


def test_a_person_signs_in_and_is_the_same_the_next_time(provider) -> None:
    assert sign_in() == ("/", "anna-b", "")
    assert provider.asked["code_challenge_method"] == "S256"
    assert provider.asked["scope"] == "openid email profile"
    provider.claims |= {"preferred_username": "another", "email": "other@example.org"}
    assert sign_in() == ("/", "anna-b", "")
    person = User.objects.get()
    assert person.email == "Anna@example.org"
    assert (person.is_staff, person.is_superuser) == (False, False)
    assert not person.has_usable_password()
    assert not person.memberships.exists()  # groups give no role
    assert Identity.objects.get().subject == "0042"
    said = AuditEntry.objects.order_by("id").values_list("what", flat=True)
    assert list(said) == [
        "Made an account by single sign-on",
        "Logged in by single sign-on",
        "Logged in by single sign-on",
    ]


def test_one_gets_to_where_one_wanted_and_nowhere_else(provider) -> None:
    assert sign_in(begin="/sso?next=/account")[0] == "/account"
    assert sign_in(begin="/sso?next=https://evil.example/")[0] == "/"


def test_a_verified_address_finds_the_account(provider) -> None:
    anna = User.objects.create(username="anna", email="anna@example.org")
    assert sign_in()[1] == "anna"
    assert anna.identities.get().subject == "0042"


@pytest.mark.parametrize("verified", [False, None, "true"])
def test_an_address_that_is_not_verified_finds_nobody(provider, verified) -> None:
    User.objects.create(username="anna", email="anna@example.org")
    provider.claims["email_verified"] = verified
    assert sign_in()[1] == "anna-b"
    assert User.objects.get(username="anna-b").email == ""


def test_of_two_accounts_with_one_address_none_is_taken(provider) -> None:
    for name in ("anna", "anna-b"):
        User.objects.create(username=name, email="anna@example.org")
    assert sign_in()[1] == "anna-b-2"


@pytest.mark.parametrize(
    "wrong",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "another-client"},
        {"aud": ["another-client"]},
        {"aud": None},
        {"iss": "https://another.example"},
        {"exp": int(time.time()) - 600},
        {"exp": None},
        {"sub": None},
        {"iat": int(time.time()) + 3600},
    ],
    ids=",".join,  # the times differ from process to process
)
def test_a_token_that_is_not_for_us_or_not_for_now(provider, wrong) -> None:
    provider.wrong = wrong
    assert sign_in() == ("/login", "", "Signing in did not work. Begin again from this page.")
    assert not User.objects.exists()


def test_a_token_that_somebody_else_signed(provider) -> None:
    provider.signs_with = ECKey.generate_key("P-256", {"kid": "one"})
    assert sign_in()[:2] == ("/login", "")
    provider.signs_with = None
    assert sign_in()[1] == "anna-b"


def test_new_keys_of_the_provider_are_fetched(provider) -> None:
    assert sign_in()[1] == "anna-b"
    provider.key = ECKey.generate_key("P-256", {"kid": "two"})
    assert sign_in()[1] == "anna-b"


def test_a_reply_that_nobody_asked_for_or_that_comes_twice(provider) -> None:
    victim, thief = Client(), Client()
    back = come_back(thief)
    assert victim.get(back).headers["Location"] == "/login"  # the session did not begin it
    assert victim.get("/api/me").status_code == 401
    assert thief.get(back).headers["Location"] == "/"
    assert thief.get(back).headers["Location"] == "/login"
    assert victim.get("/sso/callback").headers["Location"] == "/login"
    assert victim.get("/sso/callback?error=access_denied").headers["Location"] == "/login"


def test_a_deactivated_person_stays_out(provider) -> None:
    client = Client()
    assert sign_in(client)[1] == "anna-b"
    people.deactivate(User.objects.get())
    assert client.get("/api/me").status_code == 401
    off = "This account is switched off. Ask whoever runs this server."
    assert sign_in(client) == ("/login", "", off)
    User.objects.create(username="old", email="old@example.org", is_active=False)
    provider.claims |= {"sub": "1", "email": "old@example.org"}
    assert sign_in() == ("/login", "", off)
    assert Identity.objects.count() == 1


def test_only_addresses_of_these_domains_enter(provider, settings) -> None:
    settings.OIDC_DOMAINS = ["example.org"]
    assert sign_in()[1] == "anna-b"
    for email, verified in (
        ("eve@elsewhere.test", True),
        ("eve@sub.example.org", True),
        ("eve@example.org", False),
        ("", True),
    ):
        provider.claims |= {"sub": "2", "email": email, "email_verified": verified}
        where, who, said = sign_in()
        assert (where, who) == ("/login", "")
        assert said.startswith("Your address is none of those")
    assert User.objects.count() == 1


def test_a_provider_that_is_away_or_another(provider, settings) -> None:
    settings.OIDC_ISSUER = f"{provider.issuer}/tenant"  # it says another name of itself
    client = Client()
    assert client.get("/sso").headers["Location"] == "/login"
    settings.OIDC_ISSUER = "http://127.0.0.1:9"
    assert client.get("/sso").headers["Location"] == "/login"
    assert "does not answer as it should" in client.get("/login").content.decode()


def test_the_button_is_there_only_where_it_leads_somewhere(provider, settings) -> None:
    settings.OIDC_NAME = "Sign in with Example"
    page = Client().get("/login?next=/account").content.decode()
    assert 'href="/sso?next=/account"' in page
    assert "Sign in with Example" in page
    settings.OIDC_ISSUER = ""
    assert "/sso" not in Client().get("/login").content.decode()
    assert Client().get("/sso").status_code == 404
    assert not sso.available()
