"""The pages, one module each: they lay out widgets, and show what the questions answer."""
