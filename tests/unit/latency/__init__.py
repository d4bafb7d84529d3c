"""The latency benchmark without Kafka."""
