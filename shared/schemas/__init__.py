"""The wire contracts: JSON Schemas, AsyncAPI, and their codecs."""
