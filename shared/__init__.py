"""What the services share: the domain, the contracts and the adapters."""
