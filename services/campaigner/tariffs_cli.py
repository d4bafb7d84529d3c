"""`tenure customer tariffs`: which plan would have cost a customer less, from recorded use."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
import yaml

from services.campaigner.cli import AsJson, Key, Url, open_client, print_tables, table
from shared.domain.errors import TenureError
from shared.domain.outputs import Score
from shared.domain.tariffs import Plan, TariffFit, tariff_fit

_SIGNALS: Final = {
    "near_limit": "near the limit of the plan: a larger one may suit",
    "unused": "hardly used: a smaller plan may keep the customer",
    None: "within the plan",
}


class PlansFileError(TenureError):
    """A table of plans that cannot be used; the message names the place and the remedy."""


def tariffs(
    identity: Annotated[str, typer.Argument(metavar="ID", help="The customer.")],
    plans: Annotated[Path, typer.Argument(help="YAML: plans with fee and services.")],
    *,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Show what each plan would cost a customer a month, by recorded use."""
    known = read_plans(plans)
    with closing(open_client(url, key)) as client:
        score = msgspec.convert(client.profile(identity), Score)
    found = tariff_fit(score, known)
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(found)))
        return
    rows = [
        (
            f"{each.plan} (own)" if each.plan == found.plan else each.plan,
            f"{each.cost:,.2f}",
            "-" if each.saving is None else f"{each.saving:+,.2f}",
            ", ".join(each.lacks),
        )
        for each in found.plans
    ]
    columns = ("plan", "cost a month", "saving", "lacks")
    print_tables(table("use", "", rows=_use(found)), table(*columns, rows=rows), apart=True)


def read_plans(path: Path) -> dict[str, Plan]:
    """Read plans by name from a YAML file.

    Raises
    ------
    PlansFileError
        Naming the place, what is wrong with it and the remedy.

    """
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        return msgspec.convert(content, dict[str, Plan])
    except OSError as error:
        raise PlansFileError(f"{path}: {error.strerror}. Name a file that exists") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PlansFileError(f"{path}: no YAML: {error}. Mend the file") from None
    except msgspec.ValidationError as error:
        example = "`gold: {fee: 20, services: {data: {allowance: 10, price: 2}}}`"
        raise PlansFileError(f"{path}: {error}. Write {example}, for example") from None


def _use(found: TariffFit) -> Iterator[tuple[str, str]]:
    for name, much in found.use.items():
        yield name, f"{much:,.4g} a month"
    if found.limits is not None:
        yield "of the plan", f"{found.limits:.0%} used: {_SIGNALS[found.signal]}"
    elif found.plan is None:
        yield "plan", "none known"
