"""The file of webhooks: secrets from elsewhere, and errors that name field, reason and remedy."""

from pathlib import Path

import pytest

from services.campaigner.webhook_file import LiveWebhooks, WebhookFileError, read_webhooks
from shared import metrics

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
GOOD = "webhooks:\n- {name: crm, url: 'https://crm.example/h', secret_env: CRM}\n"


def read(tmp_path: Path, text: str, **environment: str) -> object:
    path = tmp_path / "webhooks.yaml"
    path.write_text(text)
    return read_webhooks(path, environment)


def test_without_a_file_there_are_none() -> None:
    assert read_webhooks(None) == ()


def test_a_secret_comes_from_the_environment_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    ours = GOOD.replace("secret_env: CRM", f"secret_file: '{tmp_path / 'secret'}'")
    assert read(tmp_path, GOOD, CRM=SECRET) == read(tmp_path, ours)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GOOD.replace("https", "http"), "use https, or `allow_private: true`"),
        (GOOD.replace("https://crm", "ftp://crm"), "webhooks.0.url"),
        (GOOD.replace("crm.example", "me:word@crm.example"), "a password in an address"),
        (GOOD.replace(", secret_env: CRM", ""), "either `secret_env`"),
        (GOOD.replace("secret_env: CRM", f"secret: {SECRET}"), "webhooks.0.secret"),
        (GOOD + GOOD.splitlines()[1], "crm more than once"),
        (GOOD.replace("CRM", "OTHER"), "the variable OTHER holds no secret"),
        ("webhooks: [", "cannot be read"),
        ("- 1", "the file"),
    ],
)
def test_what_is_wrong_is_named_with_its_remedy(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(WebhookFileError, match=told):
        read(tmp_path, text, CRM=SECRET)


def test_a_secret_is_not_told(tmp_path: Path) -> None:
    with pytest.raises(WebhookFileError) as caught:
        read(tmp_path, GOOD, CRM="whsec_too0short0AAA")
    assert "too0short" not in str(caught.value)


def test_whether_the_file_is_in_force_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "webhooks.yaml"
    path.write_text(GOOD)
    live = LiveWebhooks(path, {"CRM": SECRET})
    in_force = live.endpoints
    assert _valid() == 1
    path.write_text("webhooks: [")
    live.look()
    assert (_valid(), live.endpoints) == (0, in_force)
    path.write_text(GOOD)
    live.look()
    assert _valid() == 1


def _valid() -> float:
    (family,) = metrics.WEBHOOK_FILE_VALID.collect()
    return family.samples[0].value
