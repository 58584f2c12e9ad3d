"""What benchmarks/inbox.py measures with."""
