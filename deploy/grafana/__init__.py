"""Dashboards of Grafana, which follow from the metrics that the services define."""
