"""Kafka, SQL and the other worlds outside, behind the ports that services use."""
