"""What the pages ask, one module a page. No module here knows of browsers."""
