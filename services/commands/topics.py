"""`tenure topics`: create the declared topics, or say where the cluster differs."""

from typing import Annotated

import typer

from services.campaigner.campaign_file import read_campaigns
from shared.adapters.kafka_admin import Difference, Report, topic_admin
from shared.settings import load_settings


def topics(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit with 1 if anything differs.")
    ] = False,
    mend: Annotated[
        bool, typer.Option("--mend", help="Also set the configurations that differ.")
    ] = False,
) -> None:
    """Create the topics that are missing, and say where others differ from their declaration."""
    settings = load_settings()
    own = [
        each.name for each in read_campaigns(settings.campaigns_file).campaigns if each.own_topic
    ]
    with topic_admin(settings) as admin:
        report = admin.check() if check else admin.ensure()
        if not check:
            report = Report(report.created + admin.ensure_own(own), report.differences)
        if mend and not check:
            report = Report(report.created, admin.mend().differences)
    _print(report)
    if report.differences:
        raise typer.Exit(1)


def _print(report: Report) -> None:
    for name in report.created:
        typer.echo(f"created {name}")
    for difference in report.differences:
        typer.echo(_line(difference), err=True)
    if not report.created and not report.differences:
        typer.echo("All topics are as declared")


def _line(difference: Difference) -> str:
    return (
        f"{difference.topic}: {difference.what} is {difference.found}, "
        f"declared {difference.expected}. {difference.remedy}."
    )
