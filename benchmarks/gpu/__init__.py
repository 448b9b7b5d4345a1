"""What `benchmarks/gpu_check.py` does on a GPU."""
