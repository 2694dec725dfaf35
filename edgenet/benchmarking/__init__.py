"""Latency, start and drift of models on this machine."""
