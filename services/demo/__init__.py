"""The demo: a year of real purchases through the real services on a real Kafka, and a report.

`data` makes events of the year, `monitor` asks the services how it goes, `screen` shows it,
`evidence` reads what the topics hold in the end, `report` writes it down, and `service` does one
after the other.
"""
