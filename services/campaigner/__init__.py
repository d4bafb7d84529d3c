"""Decides who is contacted, and sends the triggers."""
