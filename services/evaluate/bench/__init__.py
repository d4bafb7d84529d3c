"""How good the churn model is on several data sets, and what other configurations would be.

`sets` reads which data sets, `run` drives each through the scorer's own code under each of the
configurations of `rows`, `promises` and `choice` draw conclusions, `document` writes it all down.
"""
