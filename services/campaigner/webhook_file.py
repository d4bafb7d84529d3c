"""The file of webhooks: where triggers go besides Kafka, and where the secrets are found."""

from __future__ import annotations

import os
import ssl
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import structlog
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from shared import metrics
from shared.domain.errors import TenureError
from shared.domain.webhooks import Endpoint

log = structlog.get_logger(__name__)

_SECRET_BYTES: Final = range(24, 65)


class WebhookFileError(TenureError):
    """The file cannot be used; the message names every field, the reason and the remedy."""


def _is_secret(text: str) -> bool:
    """Tell whether a text is a secret as Standard Webhooks has it."""
    prefix, _, encoded = text.partition("_")
    try:
        return prefix == "whsec" and len(b64decode(encoded, validate=True)) in _SECRET_BYTES
    except ValueError:
        return False


class _Webhook(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    url: str
    secret_env: str | None = None
    secret_file: Path | None = None
    campaigns: Annotated[list[str] | None, Field(min_length=1)] = None
    allow_private: bool = False
    ca_file: Path | None = None

    @field_validator("url")
    @classmethod
    def _is_http(cls, value: str) -> str:
        scheme, _, rest = value.partition("://")
        host = rest.partition("/")[0]
        if scheme not in {"http", "https"} or not host:
            raise ValueError("not an address; write e.g. https://crm.example.com/hooks/tenure")
        if "@" in host:
            raise ValueError("a password in an address ends up in logs; leave it out")
        return value

    @model_validator(mode="after")
    def _has_secret(self) -> _Webhook:
        if (self.secret_env is None) == (self.secret_file is None):
            raise ValueError(
                "write either `secret_env` (a variable) or `secret_file` (a path); the secret "
                "itself has no place in this file"
            )
        if self.url.startswith("http:") and not self.allow_private:
            raise ValueError("use https, or `allow_private: true` for one of your own network")
        return self

    @field_validator("ca_file")
    @classmethod
    def _certifies(cls, value: Path | None) -> Path | None:
        if value is not None:
            try:
                ssl.create_default_context(cafile=str(value))
            except OSError as error:  # of TLS as well as of files
                raise ValueError(
                    f"no certificates can be read from it ({error}); name a PEM file"
                ) from None
        return value

    def endpoint(self, environment: Mapping[str, str]) -> Endpoint:
        """Return it with its secret."""
        campaigns = None if self.campaigns is None else frozenset(self.campaigns)
        secret = self._secret(environment)
        ca_file = None if self.ca_file is None else str(self.ca_file)
        return Endpoint(self.name, self.url, secret, campaigns, self.allow_private, ca_file)

    def _secret(self, environment: Mapping[str, str]) -> str:
        if self.secret_env is not None:
            where, secret = f"the variable {self.secret_env}", environment.get(self.secret_env, "")
        else:
            assert self.secret_file is not None  # noqa: S101  # `_has_secret` saw to it
            where = f"the file {self.secret_file}"
            try:
                secret = self.secret_file.read_text(encoding="utf-8")
            except OSError as error:
                raise WebhookFileError(f"{self.name}: cannot read {where} ({error}).") from None
        if not _is_secret(secret.strip()):
            raise WebhookFileError(
                f"{self.name}: {where} holds no secret. It must be `whsec_` and the base64 of 24 "
                "to 64 random bytes, e.g. of `openssl rand -base64 32`."
            )
        return secret.strip()


class _Webhooks(BaseModel):
    model_config = ConfigDict(extra="forbid")

    webhooks: list[_Webhook]

    @model_validator(mode="after")
    def _named_once(self) -> _Webhooks:
        names = [each.name for each in self.webhooks]
        if twice := {each for each in names if names.count(each) > 1}:
            raise ValueError(f"{', '.join(sorted(twice))} more than once; give each its own name")
        return self


class LiveWebhooks:
    """Follows the file of webhooks, and the secrets that it names; ``endpoints`` are in force.

    A file that cannot be used changes nothing but the log, and ``problem``. Raises a
    `WebhookFileError` at the start.
    """

    def __init__(self, path: Path | None, environment: Mapping[str, str] = os.environ) -> None:
        self._path = path
        self._environment = environment
        self.problem: str | None = None
        self.endpoints = read_webhooks(path, environment)
        metrics.WEBHOOK_FILE_VALID.set(1)

    def look(self) -> None:
        """Take in what the file says now."""
        try:
            self.endpoints = read_webhooks(self._path, self._environment)
            self.problem = None
            metrics.WEBHOOK_FILE_VALID.set(1)
        except WebhookFileError as error:
            if str(error) != self.problem:  # once, and not with each look
                log.error("webhooks file not usable, the former stays", problem=str(error))  # noqa: TRY400  # it says all there is
            self.problem = str(error)
            metrics.WEBHOOK_FILE_VALID.set(0)


def read_webhooks(
    path: Path | None, environment: Mapping[str, str] = os.environ
) -> tuple[Endpoint, ...]:
    """Read the file of webhooks; none without a file.

    Raises
    ------
    WebhookFileError
        With every problem.

    """
    if path is None:
        return ()
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        found = _Webhooks.model_validate(content)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise WebhookFileError(f"{path} cannot be read: {error}. See docs/campaigns.md.") from None
    except ValidationError as error:
        problems = "\n".join(
            f"{path}: {'.'.join(map(str, each['loc'])) or 'the file'}: {each['msg']}"
            for each in error.errors()
        )
        raise WebhookFileError(f"{problems}\nSee docs/campaigns.md.") from None
    return tuple(each.endpoint(environment) for each in found.webhooks)
