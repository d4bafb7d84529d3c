"""Ingest: takes events over HTTP, and answers 202 when Kafka has them on all in-sync replicas.

The way of a request: `http` reads it and finds its mode (`cloudevents`); `service` asks
`validation` whether every event is good, and `quota` whether the caller may send that many;
`gatherer` puts its events into one `lane` a partition, where they wait a few milliseconds for
company and leave as one record. The request is answered when its records are acknowledged.
"""
