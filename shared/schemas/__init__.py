"""The wire contracts: a JSON Schema for each, and the AsyncAPI document over all of them.

`contracts` says which struct travels on which topic, `json_schema` and `asyncapi` derive the
documents from it, and ``python -m shared.schemas`` writes them beside this file. They are
committed, so that a change of a contract shows in the diff; a test holds them equal.
"""
