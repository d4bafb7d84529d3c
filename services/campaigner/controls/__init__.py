"""Stop and go, approvals, the suppression list, and the log of who changed what."""
