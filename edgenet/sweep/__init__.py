"""Many models on many devices: a plan becomes jobs, workers run them, and their results become one table."""
