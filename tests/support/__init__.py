"""Servers that tests and benchmarks start and stop: PostgreSQL, meesh, an S3 server that can misbehave."""
