"""Takes customer events over HTTP and puts them into the log."""
