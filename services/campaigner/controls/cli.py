"""`tenure campaigns pause`, `resume` and `approve`, `tenure suppression`, `tenure audit`."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from services.campaigner.cli import (
    AsJson,
    Key,
    Url,
    campaigns,
    customer,
    open_client,
    print_tables,
)
from services.campaigner.cli import table as table_of
from services.campaigner.cli import time_of as shown
from shared.domain.errors import TenureError

suppression = typer.Typer(
    name="suppression", help="Customers whom no campaign contacts.", no_args_is_help=True
)

_Reason = Annotated[str, typer.Option(help="Why, for readers of the log.")]
_Name = Annotated[str | None, typer.Argument(help="The campaign.", show_default=False)]
_All = Annotated[bool, typer.Option("--all", help="All campaigns: the kill switch.")]
_Customers = Annotated[
    list[str] | None, typer.Argument(metavar="ID...", help="Customers.", show_default=False)
]
_File = Annotated[Path | None, typer.Option(help="A file with a customer in each line, as well.")]
_AT_ONCE = 10_000


class UsageError(TenureError):
    """Arguments that say nothing, or two things at once."""


@campaigns.command()
def pause(
    name: _Name = None,
    *,
    every: _All = False,
    reason: _Reason = "",
    url: Url = None,
    key: Key = None,
) -> None:
    """Stop a campaign, or all, with the next batch; triggers that have not left wait."""
    _switch("pause", name, every=every, reason=reason, url=url, key=key)
    typer.echo(f"{name or 'All campaigns'}: paused.")


@campaigns.command()
def resume(
    name: _Name = None,
    *,
    every: _All = False,
    reason: _Reason = "",
    url: Url = None,
    key: Key = None,
) -> None:
    """Let a campaign, or all, go on; triggers that are still valid leave."""
    _switch("resume", name, every=every, reason=reason, url=url, key=key)
    typer.echo(f"{name or 'All campaigns'}: resumed.")


@campaigns.command()
def approve(
    name: Annotated[str, typer.Argument(help="The campaign.", show_default=False)],
    version: Annotated[str, typer.Argument(help="The version that you read.", show_default=False)],
    *,
    url: Url = None,
    key: Key = None,
) -> None:
    """Approve a version that somebody else wrote: before that it fires nothing."""
    with closing(open_client(url, key)) as client:
        client.change(f"campaigns/{name}/approve", version=version)
    typer.echo(f"{name}: version {version} is approved.")


@customer.command()
def erase(
    customers: Annotated[list[str], typer.Argument(metavar="ID...", help="Customers.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    reason: _Reason = "",
    url: Url = None,
    key: Key = None,
) -> None:
    """Erase customers for good: no event, file or backup brings these ids back."""
    if not yes:
        typer.confirm(f"Erase {len(customers)} for good? Nobody can take that back", abort=True)
    with closing(open_client(url, key)) as client:
        count = client.change("customers/erase", customers=customers, reason=reason)["changed"]
    typer.echo(
        f"{count} erased: the state within seconds, what Kafka compacts within a day, "
        "the logs within 30 days."
    )


@suppression.command()
def add(
    customers: _Customers = None,
    *,
    file: _File = None,
    reason: _Reason = "",
    url: Url = None,
    key: Key = None,
) -> None:
    """Put customers on the list."""
    count = _change_list("add", _listed(customers, file), reason, url, key)
    typer.echo(f"{count} put on the list.")


@suppression.command()
def remove(
    customers: _Customers = None,
    *,
    file: _File = None,
    reason: _Reason = "",
    url: Url = None,
    key: Key = None,
) -> None:
    """Take customers off the list."""
    count = _change_list("remove", _listed(customers, file), reason, url, key)
    typer.echo(f"{count} taken off the list.")


@suppression.command("list")
def list_suppressed(
    *,
    after: Annotated[str, typer.Option(help="Only customers behind this one.")] = "",
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=1000)] = 1000,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """List who is on it, by whom and why."""
    with closing(open_client(url, key)) as client:
        page = client.read("suppressions", after=after, limit=limit)
    if as_json:
        typer.echo(json.dumps(page))
        return
    rows = [
        (each["customer"], shown(each["at"]), each["by"], each["reason"])
        for each in page["suppressions"]
    ]
    print_tables(table_of("customer", "since", "by", "why", rows=rows))


def audit(
    *,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=1000)] = 20,
    before: Annotated[int | None, typer.Option(help="Only entries before this number.")] = None,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Say who changed campaigns, lists and switches, the newest change first."""
    with closing(open_client(url, key)) as client:
        page = client.read("audit", limit=limit, before=before)
    if as_json:
        typer.echo(json.dumps(page))
        return
    rows = [
        (each["seq"], shown(each["at"]), each["by"], each["action"], each["subject"], _told(each))
        for each in page["changes"]
    ]
    print_tables(table_of("number", "when", "who", "did", "to", "what changed", rows=rows))


def _told(change: dict[str, object]) -> str:
    detail = change["detail"]
    assert isinstance(detail, dict)  # noqa: S101  # the API says so
    told = detail.get("changed") or detail.get("version") or detail.get("reason") or ""
    return told if isinstance(told, str) else json.dumps(told)


def _switch(  # what the two commands have in common
    action: str, name: str | None, *, every: bool, reason: str, url: str | None, key: str | None
) -> None:
    if (name is None) is not every:
        raise UsageError(f"Name one campaign to {action}, or write --all.")
    path = action if every else f"campaigns/{name}/{action}"
    with closing(open_client(url, key)) as client:
        client.change(path, reason=reason)


def _change_list(
    action: str, customers: list[str], reason: str, url: str | None, key: str | None
) -> int:
    changed = 0
    with closing(open_client(url, key)) as client:
        for start in range(0, len(customers), _AT_ONCE):
            some = customers[start : start + _AT_ONCE]
            done = client.change(f"suppressions/{action}", customers=some, reason=reason)
            changed += done["changed"]
    return changed


def _listed(customers: list[str] | None, file: Path | None) -> list[str]:
    try:
        lines = [] if file is None else file.read_text().splitlines()
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}. Name another file.") from None
    listed = [*(customers or ()), *(line.strip() for line in lines if line.strip())]
    if not listed:
        raise UsageError("No customers. Name some, or a file with one in each line (--file).")
    return listed
