"""The servers that ``benchmarks/realtime.py`` measures, each in its own process."""
