"""The inference libraries that mobile apps link, and what they make of a bundle's files."""
