"""What keeps a deployment from working, found before its services do: each with a remedy."""
