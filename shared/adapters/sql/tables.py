"""The tables. A change here needs a migration: a test compares the two on each database.

Documents (scores, decisions) are kept as the JSON that travels, with the columns beside them that
queries filter by. Times are epoch milliseconds.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

from shared.domain.base_book import Sums

metadata: Final = MetaData()

# SQLite numbers rows by itself only where the key is exactly INTEGER.
_Sequence = BigInteger().with_variant(Integer, "sqlite")

#: How far each partition of a topic was read, and who may write for it: the fence is `epoch`.
positions: Final = Table(
    "positions",
    metadata,
    Column("topic", String(249), primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("owner", String(128), nullable=False),
    Column("next_offset", BigInteger, nullable=False),
    Column("at", BigInteger),
    Column("claimed_at", BigInteger, nullable=False),
)

#: The read model: each customer's last score. `origin_*` is the score's place in the source log.
customers: Final = Table(
    "customers",
    metadata,
    Column("customer", String(128), primary_key=True),
    Column("partition", Integer, nullable=False),
    Column("stage", String(16), nullable=False),
    Column("risk", Float, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("origin_partition", Integer, nullable=False),
    Column("origin_offset", BigInteger, nullable=False),
    Column("origin_ordinal", Integer, nullable=False),
    Column("score", Text, nullable=False),
    Column("booked", Text),
    Column("held", Text),
    Column("lead", Text),
    Column("clv", Float, nullable=False, server_default="0"),
    Column("segment", String(16), nullable=False, server_default=""),
    Column("value_band", Integer, nullable=False, server_default="0"),
    Index("customers_by_partition", "partition", "customer"),
    Index("customers_by_stage", "stage"),
    Index("customers_by_segment", "segment", "value_band"),
)

#: Boundaries of quintiles that scorers were told, and how many customers were known then.
boundaries: Final = Table(
    "boundaries",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("known", BigInteger, nullable=False),
    Column("record", Text, nullable=False),
)

#: Where customers stand with segments by conditions; who has no row never was in it.
memberships: Final = Table(
    "memberships",
    metadata,
    Column("customer", String(128), primary_key=True),
    Column("segment", String(160), primary_key=True),
    Column("partition", Integer, nullable=False),
    Column("member", Boolean, nullable=False),
    Column("number", Integer, nullable=False),
    Column("since", BigInteger, nullable=False),
    Index("memberships_by_partition", "partition"),
    Index("memberships_by_segment", "segment", "member"),
)

#: Up to where time alone was looked at for segments, by partition.
sweeps: Final = Table(
    "sweeps",
    metadata,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("definitions", String(64), nullable=False),
    Column("day", Integer, nullable=False),
    Column("after", String(128)),
)

#: The base over time: what each partition's customers were each month, and how they moved.
base_months: Final = Table(
    "base_months",
    metadata,
    Column("month", Integer, primary_key=True),
    Column("kept_by", String(16), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("partition", Integer, primary_key=True),
    *(Column(each, BigInteger, nullable=False) for each in Sums._fields),
    Index("base_months_by_part", "kept_by", "name"),
)

#: Where customers stand with the campaigns that have decided about them.
armings: Final = Table(
    "armings",
    metadata,
    Column("customer", String(128), primary_key=True),
    Column("campaign", String(64), primary_key=True),
    Column("partition", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("armed", Boolean, nullable=False),
    Column("enrolled_at", BigInteger),
    Column("first_at", BigInteger),
    Column("enrolments", Integer, nullable=False, server_default="0"),
    Index("armings_by_partition", "partition"),
)

#: Every crossing. `settled_at` is set once the outcome is final and Kafka has it.
decisions: Final = Table(
    "decisions",
    metadata,
    Column("seq", _Sequence, primary_key=True),
    Column("id", String(36), nullable=False),
    Column("customer", String(128), nullable=False),
    Column("campaign", String(64), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("settled_at", BigInteger),
    Column("record", Text, nullable=False),
    Index("decisions_by_id", "id", unique=True),
    Index("decisions_by_customer", "customer", "seq"),
    Index("decisions_by_outcome", "campaign", "outcome", "seq"),
    Index("decisions_by_time", "outcome", "at"),
)

#: First enrolments, which are what uplift is counted in; measured once the window has ended.
units: Final = Table(
    "units",
    metadata,
    Column("campaign", String(64), primary_key=True),
    Column("customer", String(128), primary_key=True),
    Column("partition", Integer, nullable=False),
    Column("decision", String(36), nullable=False),
    Column("arm", String(16), nullable=False),
    Column("control_share", Float, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
    Column("cost", Float, nullable=False),
    Column("last_activity", BigInteger, nullable=False),
    Column("revenue", Float, nullable=False),
    Column("margin", Float, nullable=False),
    Column("channel", String(64), nullable=False, server_default=""),
    Column("clv", Float, nullable=False, server_default="0"),
    Column("accepted", Integer, nullable=False, server_default="0"),
    Column("complaints", Integer, nullable=False, server_default="0"),
    Column("offer", String(64), nullable=False, server_default=""),
    Column("context", String(160), nullable=False, server_default=""),
    Column("acceptance_cost", Float, nullable=False, server_default="0"),
    Column("retained", Boolean),
    Column("revenue_gained", Float),
    Column("margin_gained", Float),
    Column("opted_out", Boolean),
    Column("clv_gained", Float),
    Column("has_accepted", Boolean),
    Column("has_complained", Boolean),
    Column("rating", Float),
    Index("units_by_partition", "partition", "retained"),
)

#: What came of the offers of campaigns that have several; each partition writes rows of its own.
offer_tallies: Final = Table(
    "offer_tallies",
    metadata,
    Column("campaign", String(64), primary_key=True),
    Column("context", String(160), primary_key=True),
    Column("offer", String(64), primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("n", BigInteger, nullable=False),
    Column("accepted", BigInteger, nullable=False),
    Column("retained", BigInteger, nullable=False),
)

#: The same of all partitions, as decisions read it: each names the version that it read.
offer_states: Final = Table(
    "offer_states",
    metadata,
    Column("campaign", String(64), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("tallies", Text, nullable=False),
)

#: What Kafka does not have yet: a decision, the dead letter of a record that was unreadable, or a
#: customer's entry into a segment or exit.
outbox: Final = Table(
    "outbox",
    metadata,
    Column("seq", _Sequence, primary_key=True),
    Column("partition", Integer, nullable=False),
    Column("decision", String(36)),
    Column("letter", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("customer", String(128)),
    Column("change", Text),
    Index("outbox_by_partition", "partition", "seq"),
    Index("outbox_by_customer", "customer"),
)

#: Each version of each campaign that was ever in force, and whose file brought it.
campaign_versions: Final = Table(
    "campaign_versions",
    metadata,
    Column("campaign", String(64), primary_key=True),
    Column("version", String(64), primary_key=True),
    Column("document", Text, nullable=False),
    Column("loaded_at", BigInteger, nullable=False),
    Column("author", String(64)),
)

#: Parts of the allowances that partitions were lent, and have used up; millionths.
budgets: Final = Table(
    "budgets",
    metadata,
    Column("scope", String(80), primary_key=True),
    Column("period", String(16), primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("lent", BigInteger, nullable=False),
    Column("spent", BigInteger, nullable=False),
)

#: What is stopped: a campaign, or all of them ("*").
holds: Final = Table(
    "holds",
    metadata,
    Column("campaign", String(64), primary_key=True),
    Column("by", String(64), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
)

#: Versions of campaigns that a second person approved.
approvals: Final = Table(
    "approvals",
    metadata,
    Column("campaign", String(64), primary_key=True),
    Column("version", String(64), primary_key=True),
    Column("by", String(64), nullable=False),
    Column("at", BigInteger, nullable=False),
)

#: Customers whom no campaign contacts.
suppressions: Final = Table(
    "suppressions",
    metadata,
    Column("customer", String(128), primary_key=True),
    Column("by", String(64), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
)

#: Every change that a person made. Triggers of the database refuse to change or delete a row.
audit: Final = Table(
    "audit",
    metadata,
    Column("seq", _Sequence, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("by", String(64), nullable=False),
    Column("action", String(32), nullable=False),
    Column("subject", String(64), nullable=False),
    Column("detail", Text, nullable=False),
)

#: Triggers that Kafka has and a webhook's endpoint does not have yet.
webhook_deliveries: Final = Table(
    "webhook_deliveries",
    metadata,
    Column("endpoint", String(64), primary_key=True),
    Column("decision", String(36), primary_key=True),
    Column("partition", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", BigInteger, nullable=False),
    Index("webhook_deliveries_by_time", "endpoint", "next_at"),
)

#: How the endpoints of webhooks stand; one that is not here has never failed.
webhook_endpoints: Final = Table(
    "webhook_endpoints",
    metadata,
    Column("endpoint", String(64), primary_key=True),
    Column("url", Text, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("failing_since", BigInteger),
    Column("disabled_at", BigInteger),
    Column("reason", Text, nullable=False),
)
