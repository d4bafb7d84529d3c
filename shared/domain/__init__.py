"""The rules of the customer lifecycle, free of I/O, clocks and logs."""
