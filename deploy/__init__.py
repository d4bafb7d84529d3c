"""What runs Tenure somewhere: images, dashboards, alert rules. Not part of the wheel."""
