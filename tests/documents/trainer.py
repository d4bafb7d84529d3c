"""What the trainer does, without waiting for a thousand labels."""

from kafka import KafkaProducer
from msgspec import structs

from shared.schemas.snapshots import SIGNATURE_HEADER, encode_snapshot, snapshot_key
from shared.topics import CHURN_MODELS
from tests.unit.schemas.test_snapshots import snapshot


def publish_model(broker: str, version: int, signed_with: bytes) -> None:
    """Publish a model, but activate it nowhere."""
    key = snapshot_key("churn", version)
    value, signature = encode_snapshot(
        key, structs.replace(snapshot(), version=version), signed_with
    )
    producer = KafkaProducer(bootstrap_servers=broker)
    headers = [(SIGNATURE_HEADER, signature)]
    producer.send(CHURN_MODELS.name, value, key, headers, partition=0).get(30)
    producer.close()
