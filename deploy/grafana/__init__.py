"""The dashboards as code: `boards` says what is on them, `generate` writes Grafana's JSON."""
