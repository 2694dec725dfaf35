"""The libraries that mobile apps link, asked what they find in a bundle's files."""
