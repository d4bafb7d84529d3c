"""The operator console: what the campaigner knows, in a browser.

`http` adds it to the campaigner's application, `entry` says who may come in, `guard` sees to it for
each request. What pages ask is in `questions`, which know nothing of browsers; `pages` show the
answers, by the few things in `widgets`, `charts` and `frame`. NiceGUI is imported by those alone,
and only where the extra ``console`` is installed.
"""
