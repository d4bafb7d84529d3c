"""Folds the log into customer states, and scores them."""
