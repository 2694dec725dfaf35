"""Checks a bundle's files with the inference libraries that mobile apps use."""
