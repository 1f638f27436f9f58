"""How nextclick is run in a shop: containers, alerts, dashboards, the documentation as a site."""
