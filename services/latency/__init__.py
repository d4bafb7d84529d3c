"""``tenure bench latency``: how long an event takes through all of Tenure, under load.

Kafka, ingest, scorer and campaigner run as processes of their own, as in `tenure up`; `load` posts
to them whether or not they keep up, `watch` sees what comes out, `service` puts the two together.
"""
