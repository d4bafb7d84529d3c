#!/bin/sh
# Runs once, when the database directory is empty: a role that is no superuser, and its database.
# The campaigner makes the tables itself when it starts.
set -eu

psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 \
  --username="${POSTGRES_USER:-postgres}" --dbname=postgres \
  --set=password="$TENURE_DATABASE_PASSWORD" <<'SQL'
CREATE ROLE tenure LOGIN PASSWORD :'password';
CREATE DATABASE tenure OWNER tenure ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE tenure FROM PUBLIC;
SQL
