"""Checks of what is on this machine: keys, campaign file, database."""

from __future__ import annotations

from collections.abc import Iterator

from services.campaigner.campaign_file import CampaignFileError, read_campaigns
from services.campaigner.webhook_file import WebhookFileError, read_webhooks
from services.doctor.findings import Finding, bad, good, warning
from shared.adapters.api_keys import KeysFileError, doorkeeper, read_keys
from shared.adapters.sql.engine import DatabaseError, table_versions
from shared.settings import Settings


def examine_machine(settings: Settings) -> Iterator[Finding]:
    """Yield what is found without Kafka."""
    yield _database(settings)
    yield _campaigns(settings)
    yield _webhooks(settings)
    yield _model_key(settings)
    yield _erasure_key(settings)
    for service in ("ingest", "campaigner"):
        yield _api_keys(settings, service)


def _database(settings: Settings) -> Finding:
    try:
        found, wanted = table_versions(settings.database_url)
    except DatabaseError as error:
        return bad("database", str(error), "Start it, or correct TENURE_DATABASE_URL")
    if found == wanted:
        return good("database", f"answers, and its tables are of version {found}")
    if found is None:
        return good("database", "can be used; the campaigner makes its tables when it starts")
    return warning(
        "database",
        f"its tables are of version {found}, this Tenure's are {wanted}",
        "Take a backup, then start the campaigner, which migrates them; where they are newer, "
        "run the version that migrated them",
    )


def _campaigns(settings: Settings) -> Finding:
    try:
        book = read_campaigns(settings.campaigns_file)
    except CampaignFileError as error:
        return bad("campaigns", str(error), "Correct it, and run `tenure campaigns check` on it")
    names = ", ".join(f"{each.name} ({each.state})" for each in book.campaigns)
    if settings.campaigns_file is None:
        return warning(
            "campaigns",
            f"the built-in example is in force: {names}",
            "Write your own (`tenure init` makes a start) and set TENURE_CAMPAIGNS_FILE",
        )
    return good("campaigns", names or "the file has none")


def _webhooks(settings: Settings) -> Finding:
    try:
        endpoints = read_webhooks(settings.webhooks_file)
    except WebhookFileError as error:
        return bad("webhooks", str(error), "Correct the file of TENURE_WEBHOOKS_FILE")
    names = ", ".join(each.name for each in endpoints)
    return good("webhooks", names or "none: triggers go to Kafka alone")


def _model_key(settings: Settings) -> Finding:
    if settings.model_key == Settings.model_fields["model_key"].default:
        return warning(
            "model key",
            "is the public one: whoever can write to Kafka can have a model of theirs served",
            "Set TENURE_MODEL_KEY of all scorers to a secret, such as `openssl rand -hex 32`",
        )
    return good("model key", "is one of your own")


def _erasure_key(settings: Settings) -> Finding:
    if settings.erasure_key == Settings.model_fields["erasure_key"].default:
        return warning(
            "erasure key",
            "is the public one: whoever can read Kafka can find out who was erased",
            "Set TENURE_ERASURE_KEY of scorers and campaigners to a secret before the first "
            "`tenure customer erase`, and keep it: those erased under another are unknown",
        )
    return good("erasure key", "is one of your own")


def _api_keys(settings: Settings, service: str) -> Finding:
    variable = f"TENURE_{service.upper()}_KEYS_FILE"
    path = getattr(settings, f"{service}_keys_file")
    host = getattr(settings, f"{service}_host")
    check = f"{service}'s API keys"
    try:
        doorkeeper(host, path, setting=variable)
        keys = [] if path is None else read_keys(path)
    except KeysFileError as error:
        return bad(check, str(error), f"Make one with `tenure keys create`, and set {variable}")
    if path is None:
        return good(check, f"none are needed: it listens on {host} only")
    if not keys:
        remedy = f"Make one with `tenure keys create NAME --file {path}`"
        return bad(check, f"{path} holds none, so nobody may call", remedy)
    return good(check, f"{len(keys)} in {path}")
