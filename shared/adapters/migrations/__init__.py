"""Migrations of the campaigner's tables, run by `shared.adapters.sql.engine.migrate`."""
