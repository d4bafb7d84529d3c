"""The campaigner's database: SQLite by default, PostgreSQL in production, through SQLAlchemy."""
