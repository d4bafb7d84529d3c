"""The sub-commands of `tenure` that belong to no single service."""
