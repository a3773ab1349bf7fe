"""Support for the benchmarks: a database server, processor time, and output files."""
