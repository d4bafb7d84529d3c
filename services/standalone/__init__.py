"""Everything on one machine: an embedded Kafka and the three services, as children of one process.

`child` runs one process that does not outlive its parent, `supervisor` starts it again when it
crashes, `stack` puts broker, topics and services together.
"""
