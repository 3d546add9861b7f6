"""Inbound edges: one module a framework, all with the same verbs."""
