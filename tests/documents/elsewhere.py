"""Commands of the documents that are not run beside the one Tenure: by whom they are."""

from __future__ import annotations

from typing import Final

_STEPS: Final = "tests/documents/test_steps.py"
_STARTED: Final = "tests/documents/conftest.py::running"
_FIRST_EVENT: Final = f"{_STEPS}::test_your_own_first_event"
_OWN_CAMPAIGN: Final = f"{_STEPS}::test_your_own_campaign_runs"
_DEMO: Final = "tests/e2e/test_demo.py::test_it_ends_by_itself_with_a_report_and_nothing_left"
#: Its commands with its environment, as plain processes: there is no Docker engine.
_COMPOSE: Final = "tests/deploy/test_running.py::test_a_posted_event_reaches_state_and_read_model"
_SCALED: Final = "tests/deploy/test_running.py::test_scorers_share_the_partitions"
#: Validated by Kubernetes' own schemas: there is no cluster.
_MANIFESTS: Final = "tests/deploy/test_kubernetes.py::test_kubernetes_knows_every_field"
_OWN_KAFKA: Final = (
    "tests/e2e/test_own_kafka.py::test_no_broker_is_started_and_an_event_goes_through"
)
_ALL_AGAIN: Final = (
    "tests/faults/test_all_again.py::test_events_alone_lead_to_the_same_states_again"
)
_SECURE: Final = "tests/integration/test_secure_kafka.py::test_an_event_goes_the_whole_way"
_EXTRAS: Final = "tests/documents/test_commands.py::test_extras_that_are_named_exist"
_WORDS: Final = "tests/documents/test_commands.py::test_what_compose_is_asked_for_is_in_its_file"
_EVALUATE: Final = (
    "tests/unit/evaluate/test_evaluate_command.py::test_the_report_has_what_programs_rely_on"
)
_PRODUCTS: Final = "tests/unit/evaluate/test_products.py::test_the_command_measures_a_file"
_CHURN: Final = "tests/unit/evaluate/test_bench_churn.py::test_there_is_a_row_for_each_measure"
_REPLAY: Final = (
    "tests/integration/test_replay.py::test_the_command_sends_a_file_in_order_and_moves_time"
)
_KEPT: Final = "tests/e2e/test_demo.py::test_it_goes_on_living_when_asked_to"
_UP_DEMO: Final = "tests/e2e/test_up.py::test_it_begins_with_the_demos_year_once"
#: It is `tenure bench scorer`, which is run.
_TARGETS: Final = "tests/documents/test_commands.py::test_targets_that_are_named_are_made"
_MAKE: Final = "Makefile"
_CI: Final = ".ci/run"
_FAULTS: Final = "tests/faults/test_whole_path.py::test_every_accepted_event_is_in_the_state_once"
_BOARDS: Final = "tests/deploy/test_dashboards.py::test_the_files_are_what_the_code_makes"

#: A command as it is written, on one line, and the test that does what it says; or the file that
#: has it.
ELSEWHERE: Final[dict[str, str]] = {
    "make .venv": _CI,
    "make lint": _CI,
    "make types": _CI,
    "make test": _CI,
    "make test ARGS=\"-m 'not kafka'\"": _CI,
    'make test ARGS="tests/unit -k churn"': _CI,
    'make test ARGS="-n 0 --pdb tests/unit"': _CI,
    'make test ARGS="tests/faults --long-faults"': _FAULTS,
    "make ci": _MAKE,
    "make generated": _BOARDS,
    "make demo": _DEMO,
    "make bench": _TARGETS,
    "tenure up --demo": _UP_DEMO,
    "tenure demo --keep": _KEPT,
    ".venv/bin/uv lock": _CI,
    ".venv/bin/ruff check --fix . && .venv/bin/ruff format .": _MAKE,
    "tenure demo": _DEMO,
    "tenure up": _STARTED,
    ".venv/bin/tenure up": _STARTED,
    ".venv/bin/tenure init my-tenure": _STARTED,
    ".venv/bin/tenure --settings my-tenure/tenure.env up": _STARTED,
    "TENURE_CAMPAIGNS_FILE=campaigns.yaml .venv/bin/tenure up": _STARTED,
    ".venv/bin/tenure customer show customer-1": _FIRST_EVENT,
    "deploy/examples/clients/post_event.sh customer-2 25": _OWN_CAMPAIGN,
    ".venv/bin/tenure decisions customer-2": _OWN_CAMPAIGN,
    "tenure ingest": _COMPOSE,
    "tenure scorer": _COMPOSE,
    "tenure campaigner": _COMPOSE,
    'export PATH="$PWD/.venv/bin:$PATH"': _OWN_KAFKA,
    "export TENURE_KAFKA_BOOTSTRAP_SERVERS=kafka-1:9092,kafka-2:9092,kafka-3:9092": _OWN_KAFKA,
    "export TENURE_REPLICATION_FACTOR=3 TENURE_PARTITIONS=8": _OWN_KAFKA,
    "export TENURE_MODEL_KEY=... TENURE_ERASURE_KEY=... TENURE_CONTROL_SALT=...": _OWN_KAFKA,
    "export TENURE_KAFKA_BOOTSTRAP_SERVERS=kafka-1.example:9093": _SECURE,
    "export TENURE_KAFKA_SECURITY_PROTOCOL=SASL_SSL TENURE_KAFKA_SASL_USERNAME=tenure": _SECURE,
    "export TENURE_KAFKA_SASL_PASSWORD=... TENURE_KAFKA_SSL_CA_FILE=/etc/tenure/kafka/ca.crt": (
        _SECURE
    ),
    "docker compose up --build": _COMPOSE,
    "docker compose --profile load up --build": _COMPOSE,
    "docker compose --profile scale up --build": _SCALED,
    "docker compose run --rm topics topics --mend": _WORDS,
    "docker compose up -d SERVICE": _WORDS,
    "docker compose ps SERVICE": _WORDS,
    "docker compose stop campaigner": _WORDS,
    "kafka-topics.sh --bootstrap-server KAFKA --delete --topic customer-state": _ALL_AGAIN,
    "kubectl get pods": _WORDS,
    "kubectl scale": _WORDS,
    "kubectl apply --kustomize deploy/kubernetes": _MANIFESTS,
    "pip install 'tenure[anchors]'": _EXTRAS,
    "pip install 'tenure[console]'": _EXTRAS,
    "python deploy/examples/clients/consume_triggers.py": f"{_STEPS}::"
    "test_a_client_takes_each_trigger_once_and_none_that_is_void",
    "tenure bench latency": "tests/e2e/test_latency.py::"
    "test_every_trigger_of_the_load_is_seen_at_each_place",
    "tenure bench offers": "tests/unit/domain/test_offers.py::"
    "test_choosing_misses_less_than_drawing_by_lot_and_is_bounded",
    'tenure replay orders.csv --map "subject=customer_id,time=ts,amount=amount,currency=USD,'
    "source='shop'\"": _REPLAY,
    "tenure replay FILE": _REPLAY,
    "tenure evaluate FILE": _EVALUATE,
    "tenure bench products": _PRODUCTS,
    "tenure bench products FILE": _PRODUCTS,
    "tenure evaluate --cut": _EVALUATE,
    "tenure bench churn SETS": _CHURN,
    "tenure bench churn docs/model-sets.toml --data FOLDER --out docs/model-tables.md": _CHURN,
    "tenure campaigns approve NAME VERSION": "tests/unit/campaigner/test_controls.py::"
    "test_an_author_needs_somebody_else",
    "pg_restore --clean --if-exists --dbname=tenure tenure.dump": "tests/deploy/test_postgres.py::"
    "test_a_backup_is_restored",
    "pg_dump --format=custom --dbname=tenure --file=tenure.dump": "tests/deploy/test_postgres.py::"
    "test_a_backup_is_restored",
}

#: What is run in place of what is written, where that is too much for a test or leaves open what
#: a reader knows.
_BASH: Final = "HOME=$PWD bash -c '{}; exit $?'"
INSTEAD: Final[dict[str, str]] = {
    "tenure bench uplift": "tenure bench uplift --runs 1 --every 1000",
    "tenure bench scorer": "tenure bench scorer --events 10000 --customers 100",
    "tenure bench state": "tenure bench state --customers 1000",
    "tenure bench model": "tenure bench model --labels 1000",
    "tenure bench campaigns": "tenure bench campaigns --changes 1000 --decisions 1000",
    "tenure campaigns resume": "tenure campaigns resume --all",
    "tenure campaigns export --fired": "tenure campaigns export --from 2026-01-01 --fired",
    "tenure dead-letter replay": "tenure dead-letter replay --all",
    "tenure keys create --role": "tenure keys create someone --role viewer",
    "tenure keys create NAME --source SOURCE --file keys.yaml": "tenure keys create shop "
    "--source //shop.example --file keys.yaml",
    "tenure months [--by market|brand|plan]": "tenure months --by plan",
    "tenure cash [--by stage|market|brand|plan|...] [--months 6]": "tenure cash --by stage "
    "--months 6",
    "tenure suppression add": "tenure suppression add customer-1",
    "tenure suppression remove": "tenure suppression remove customer-1",
    # Which shell it is for is told by the process that calls it.
    "tenure --install-completion": _BASH.format("tenure --install-completion"),
    "tenure --show-completion": _BASH.format("tenure --show-completion"),
    "tenure --settings": "tenure --settings my-tenure/tenure.env settings",
    "tenure --settings FILE COMMAND": "tenure --settings my-tenure/tenure.env settings",
}
#: Names in capitals, and what a reader has in their place; by the beginning of the command.
PLACEHOLDERS: Final[list[tuple[str, dict[str, str]]]] = [
    ("tenure customer erase", {"ID...": "customer-9", "ID": "customer-9"}),
    ("tenure customer erasures", {"FILE": "erasures.ndjson"}),
    ("tenure campaigns check", {"FILE": "campaigns.yaml"}),
    ("tenure thresholds apply", {"FILE": "deploy/examples/thresholds.yaml"}),
    ("tenure keys check", {"FILE": "deploy/examples/keys.yaml"}),
    ("tenure keys create", {"NAME": "someone", "SOURCE": "shop"}),
    ("tenure schemas", {"NAME": "tenure.purchase"}),
    ("tenure customer tariffs", {"FILE": "plans.yaml"}),
    ("tenure init", {"[DIR]": "another"}),
    (
        "",
        {
            "ID...": "customer-1",
            "ID": "customer-1",
            "CUSTOMER": "customer-1",
            "NAME": "early-warning",
            "VERSION": "1",
            "WHY": "because",
            "TIME": "2026-01-01",
            "COMMAND": "topics",
            "SCORER": "127.0.0.1",
            "HOST:PORT": "127.0.0.1:8001",
        },
    ),
]
