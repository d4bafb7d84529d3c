"""Benchmarks of the campaigner, and a simulation with a known truth: `tenure bench`."""
