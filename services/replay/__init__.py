"""Replay history through ingest's HTTP API: in the order of time, as fast as is asked for."""
