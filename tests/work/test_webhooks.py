"""Webhooks against a real server on this machine: signed, retried, never to an inner address."""

import hashlib
import hmac
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from celery import current_app
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.db.models import F
from django.utils import timezone

from annotations.errors import ServiceError
from annotations.models import AuditEntry, Delivery, Notification, Webhook
from annotations.selectors.exports import Rule
from annotations.services import jobs, outbound, releases, reviews, webhooks
from annotations.tasks import deliver

ALL = ["submitted", "sent_back", "approved", "job", "release", "export"]


class Receiver:
    """An HTTP server that keeps what it got and answers with `answers`, then with 200."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[tuple[int, str]] = []
        self.silent = False
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((dict(self.headers), body))
                status, text = receiver.answers.pop(0) if receiver.answers else (200, "thanks")
                self.send_response(status)
                self.send_header("Location", "/elsewhere")
                self.end_headers()
                for _ in range(40 if receiver.silent else 0):  # one byte now and then
                    time.sleep(0.05)
                    self.wfile.write(b".")
                    self.wfile.flush()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver(settings) -> Iterator[Receiver]:
    settings.DEBUG, settings.WEBHOOK_HOSTS = True, ["localhost", "127.0.0.1"]
    server = Receiver()
    yield server
    server.close()


@pytest.fixture
def webhook(project, manager, receiver) -> Webhook:
    url = f"http://localhost:{receiver.port}/in?a=1"
    return webhooks.create(manager, project, url=url, events=ALL)


def later(seconds: float) -> None:
    """As if so much time had gone by for what waits."""
    waiting = Delivery.objects.exclude(next_at=None)
    waiting.update(next_at=F("next_at") - timedelta(seconds=seconds))


def test_what_fails_first_is_sent_again_under_the_same_id(webhook, receiver, manager) -> None:
    receiver.answers = [(503, "not yet"), (302, "over there")]
    delivery = webhooks.send_test(manager, webhook)
    waits = []
    for _ in range(3):
        assert webhooks.deliver_due() == 1
        assert webhooks.deliver_due() == 0  # nothing is due before its time
        delivery.refresh_from_db()
        waits.append((delivery.state, delivery.status, delivery.response))
        later(10 * 4 ** (delivery.attempts - 1))
    assert waits == [
        ("queued", 503, "not yet"),
        ("queued", 302, "over there"),
        ("done", 200, "thanks"),
    ]
    assert len(receiver.got) == 3  # the redirect was not followed
    for headers, body in receiver.got:
        assert headers["Labeler-Delivery"] == str(delivery.uuid) == json.loads(body)["id"]
        signed = f"{headers['Labeler-Timestamp']}.".encode() + body
        mac = hmac.new(webhook.secret.encode(), signed, hashlib.sha256).hexdigest()
        assert headers["Labeler-Signature"] == f"v1={mac}"
        assert abs(time.time() - int(headers["Labeler-Timestamp"])) < 60
        assert headers["Host"] == f"localhost:{receiver.port}"
    webhook.refresh_from_db()
    assert webhook.failing_since is None


def test_it_is_given_up_and_sent_again_by_hand(webhook, receiver, manager) -> None:
    receiver.answers = [(500, "x" * 9000)] * webhooks.MAX_ATTEMPTS
    delivery = webhooks.send_test(manager, webhook)
    for _ in range(webhooks.MAX_ATTEMPTS):
        webhooks.deliver_due()
        later(100_000)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == ("failed", webhooks.MAX_ATTEMPTS)
    assert len(delivery.response) == outbound.MAX_BYTES
    assert webhooks.deliver_due() == 0
    webhooks.send_again(manager, delivery)
    assert webhooks.deliver_due() == 1
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts, delivery.status) == ("done", 1, 200)


def test_every_event_says_what_happened(
    project, image, webhook, receiver, teammate, reviewer, owner, make_annotation
) -> None:
    annotation = make_annotation(image, teammate, regions=1)
    reviews.submit(teammate, annotation, 1)
    reviews.send_back(reviewer, annotation, 1, "The wheels are missing.")
    reviews.submit(teammate, annotation, 1)
    reviews.approve(reviewer, annotation, 1)
    release = releases.make_release(project, Rule("approved"), owner, name="v1")
    job = jobs.enqueue(project=project, kind="export", user=owner)
    jobs.run(job.pk, lambda run: run.finish({"name": "v1.zip", "bytes": 3}, "1 image"))
    webhooks.deliver_due()
    said = [json.loads(body) for _, body in receiver.got]
    assert [one["event"] for one in said] == [
        "submitted", "sent_back", "submitted", "approved", "release", "job", "export",
    ]  # fmt: skip
    assert {one["project"]["id"] for one in said} == {project.pk}
    assert said[1]["data"] == {
        "annotation": annotation.pk,
        "revision": 1,
        "image": {"id": image.pk, "name": image.name},
        "annotator": "teammate",
        "by": "reviewer",
        "comment": "The wheels are missing.",
    }
    assert said[4]["data"]["sha256"] == release.sha256
    assert said[6]["data"]["download"] == f"/api/jobs/{job.pk}/download"


def test_only_the_wanted_events_are_sent_and_none_by_one_that_is_off(
    project, image, webhook, manager, teammate, reviewer, make_annotation
) -> None:
    webhooks.update(manager, webhook, {"events": ["approved"]})
    annotation = make_annotation(image, teammate, regions=1)
    reviews.submit(teammate, annotation, 1)
    assert not Delivery.objects.exists()
    reviews.approve(reviewer, annotation, 1)
    webhooks.update(manager, webhook, {"active": False})
    webhooks.deliver_due()
    waiting = Delivery.objects.get()
    assert (waiting.state, waiting.error) == ("failed", "The webhook is switched off.")
    reviews.reopen(reviewer, annotation, 1)
    reviews.submit(teammate, annotation, 1)
    reviews.approve(reviewer, annotation, 1)
    assert Delivery.objects.count() == 1


def test_days_of_failures_switch_it_off_and_say_so(webhook, receiver, manager, owner) -> None:
    receiver.answers = [(500, "")] * 3
    for days in (0, webhooks.OFF_AFTER_DAYS - 1, webhooks.OFF_AFTER_DAYS + 1):
        since = timezone.now() - timedelta(days=days)
        Webhook.objects.exclude(failing_since=None).update(failing_since=since)
        webhooks.send_test(manager, webhook)
        webhooks.deliver_due()
        webhook.refresh_from_db()
        assert webhook.active == (days < webhooks.OFF_AFTER_DAYS)
    told = Notification.objects.filter(kind="webhook").values_list("user__username", flat=True)
    assert sorted(told) == ["manager", "owner"]
    assert AuditEntry.objects.filter(what__startswith="Switched off, after failures,").exists()
    with pytest.raises(ServiceError) as caught:
        webhooks.send_test(manager, webhook)
    assert caught.value.code == "inactive"


def test_a_slow_answer_is_cut_off(webhook, receiver, manager, monkeypatch) -> None:
    monkeypatch.setattr(outbound, "SECONDS", 0.4)
    receiver.silent = True
    webhooks.send_test(manager, webhook)
    begun = time.monotonic()
    webhooks.deliver_due()
    assert time.monotonic() - begun < 1.2
    assert Delivery.objects.get().error == "No answer within 0 seconds."


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.org/",
        "ftp://hooks.example.org/",
        "https://user:word@hooks.example.org/",
        "https://hooks.example.org/#a",
        "https://hooks.example.org/ b",
        "https://hooks.example.org:0/",
        "https://[::1/",
        "https:///nowhere",
        "https://elsewhere.test/",
        "https://127.0.0.1/",
        "https://10.0.0.8/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::ffff:10.0.0.8]/",
        "https://[fd00::1]/",
        "https://[fe80::1]/",
        "https://[fec0::1]/",
        "https://[::127.0.0.1]/",
        "https://[::ffff:0:127.0.0.1]/",
        "https://[64:ff9b::a00:1]/",
        "https://[2002:a00:1::]/",
        "https://0.0.0.0/",
        "https://100.64.0.1/",
        "https://224.0.0.1/",
    ],
)
def test_addresses_that_are_refused(project, manager, settings, url) -> None:
    hosts = ["hooks.example.org"] if "example" in url or "elsewhere" in url else ["*"]
    settings.WEBHOOK_HOSTS = hosts
    with pytest.raises(ServiceError) as caught:
        webhooks.create(manager, project, url=url, events=["job"])
    assert (caught.value.status, caught.value.field) == (400, "url")
    assert not Webhook.objects.exists()


def test_a_public_address_is_taken(project, manager, settings) -> None:
    settings.WEBHOOK_HOSTS = [".example.org", "8.8.8.8"]
    for url in ("https://hooks.example.org:8443/in?a=b", "https://8.8.8.8/"):
        assert webhooks.create(manager, project, url=url, events=["job"]).active


@pytest.mark.parametrize("inner", ["127.0.0.1", "192.168.1.4", "169.254.169.254", "::1"])
def test_a_name_that_leads_inside_is_refused_when_it_is_called(
    receiver, webhook, manager, settings, monkeypatch, inner
) -> None:
    """Also where only one of its addresses is inside, and where it did not lead there before."""
    settings.DEBUG, settings.WEBHOOK_HOSTS = False, ["*"]
    Webhook.objects.update(url="https://hooks.example.org/")
    found = [(2, 1, 6, "", (address, 443)) for address in ("93.184.216.34", inner)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **more: found)
    connected: list[Any] = []
    monkeypatch.setattr(socket, "create_connection", lambda *args: connected.append(args))
    webhooks.send_test(manager, webhook)
    webhooks.deliver_due()
    assert Delivery.objects.get().error == "hooks.example.org is an address of an inner network."
    assert connected == []


def test_the_connection_goes_where_the_name_led_when_it_was_checked(
    receiver, webhook, manager, monkeypatch
) -> None:
    """The second answer of the name server, which leads elsewhere, is never asked for."""
    real, asked = socket.getaddrinfo, []

    def rebinding(host, *args, **more):
        asked.append(host)
        again = host == "localhost" and asked.count(host) > 1
        return real("192.0.2.1" if again else "127.0.0.1", *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    webhooks.send_test(manager, webhook)
    webhooks.deliver_due()
    assert Delivery.objects.get().state == "done"
    assert asked == ["localhost", "127.0.0.1"]  # the second is the address, taken literally


def certificate(folder, name: str) -> str:
    """A file with a key and a certificate of `name`, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = folder / f"{name}.pem"
    path.write_bytes(pem + made.public_bytes(serialization.Encoding.PEM))
    return str(path)


@pytest.mark.parametrize(
    ("name", "outcome"),
    [("localhost", "done"), ("other.example.org", "The certificate is not good: ")],
)
def test_tls_is_checked_against_the_name_not_the_address(
    receiver, webhook, manager, tmp_path, monkeypatch, name, outcome
) -> None:
    file = certificate(tmp_path, name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    receiver.server.socket = context.wrap_socket(receiver.server.socket, server_side=True)
    monkeypatch.setenv("SSL_CERT_FILE", file)
    Webhook.objects.update(url=f"https://localhost:{receiver.port}/")
    webhooks.send_test(manager, webhook)
    webhooks.deliver_due()
    sent = Delivery.objects.get()
    assert (sent.error or sent.state).startswith(outcome)


def test_nothing_is_sent_where_the_server_allows_no_webhooks(
    project, image, webhook, teammate, manager, settings, make_annotation
) -> None:
    settings.WEBHOOK_HOSTS = []
    reviews.submit(teammate, make_annotation(image, teammate, regions=1), 1)
    assert not Delivery.objects.exists()
    for call in (
        lambda: webhooks.send_test(manager, webhook),
        lambda: webhooks.create(manager, project, url="https://example.org", events=["job"]),
    ):
        with pytest.raises(ServiceError) as caught:
            call()
        assert caught.value.code == "webhooks_off"


def test_two_workers_send_it_once_and_a_dead_one_does_not_hold_it(webhook, manager) -> None:
    delivery = webhooks.send_test(manager, webhook)
    held = timezone.now() + timedelta(seconds=webhooks.HELD_SECONDS)
    Delivery.objects.update(next_at=held, attempts=1)  # another worker took it
    assert webhooks.deliver_due() == 0
    later(webhooks.HELD_SECONDS + 1)  # and died
    assert webhooks.deliver_due() == 1
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == ("done", 2)


def test_waking_names_a_task_that_there_is(webhook, manager, monkeypatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, **_: sent.append(name))
    webhooks.send_test(manager, webhook)
    webhooks.sweep()
    assert sent == []  # it may be on its way
    later(10)
    webhooks.sweep()
    assert sent == [deliver.name]


def test_the_pages(project, webhook, receiver, manager, browse) -> None:
    client = browse(manager)
    base = f"/projects/{project.pk}/webhooks"
    receiver.answers = [(500, "<script>alert(1)</script>")]
    client.post(f"{base}/{webhook.pk}/test")
    webhooks.deliver_due()
    page = client.get(f"{base}/{webhook.pk}").content.decode()
    assert "&lt;script&gt;alert(1)" in page
    assert webhook.secret not in page
    assert "Failing" in client.get(base).content.decode()
    made = client.post(base, {"url": "http://localhost:1/", "events": "job"}).content.decode()
    assert Webhook.objects.latest("pk").secret in made
    bad = client.post(base, {"url": "gopher://localhost/", "events": "job"})
    assert (bad.status_code, "must begin with https" in bad.content.decode()) == (400, True)
    renewed = client.post(f"{base}/{webhook.pk}/secret").content.decode()
    assert Webhook.objects.get(pk=webhook.pk).secret in renewed
    assert Webhook.objects.get(pk=webhook.pk).secret != webhook.secret
