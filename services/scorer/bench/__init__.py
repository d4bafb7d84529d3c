"""Benchmarks of the scorer: whole processes on a real Kafka, beside what they are compared with."""
