"""The three services, and the command line that runs them."""
