"""Benchmarks: each case runs ours and the named peers in one process, so what counts is the ratio."""
