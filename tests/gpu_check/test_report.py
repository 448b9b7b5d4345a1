"""The tables that the README has of a record."""

import json


def test_tables(benchmark_script, tmp_path, monkeypatch):
    """Without results the README says so; with them it has what they say."""
    tables = benchmark_script("tables")
    monkeypatch.setattr(tables, "GPU", tmp_path / "gpu.json")
    in_short, kernels = tables.gpu.report.in_short, tables.gpu.report.kernels
    assert tables.on_a_gpu(in_short) == "Nothing of this has been run on a GPU yet."
    at = {"task": "compress", "size": "Kodak", "batch": 16}
    row = at | {"side": "treenet_fast", "median": 0.00123}
    record = {
        "commit": "0123456789abcdef",
        "device": {
            "name": "GPU",
            "driver": "1",
            "nvcc": "13.0",
            "torch_cuda": "13.0",
            "torch": "2",
            "processor": "CPU",
            "tf32_convolutions": True,
        },
        "limits": {"bytes": 3.1e12, "operations": 2e15},
        "model": "mse",
        "quality": 50,
        "exactness": [{"name": "images", "cases": 5, "differs": ["a"]}],
        "sanitizer": [{"tool": "memcheck", "clean": True}],
        "paths": [row | {"floor": 0.0001}, row | {"side": "float32", "median": 0.01}],
        "compiled": [row | {"side": "float16 channels_last, compiled", "batch": 1}],
        "throughput": [at | {"threads": threads, "images_a_second": 100.4 * threads} for threads in (1, 2)],
        "blocks": {
            "profiler": {"kernels": 2e-3, "events": 1e-3, "consistent": False},
            "calls": [at | {"kernels": 0.0004, "call": 0.001, "consistent": True}],
            "stages": [
                at
                | {"stage": "analysis.level0", "treenet_fast": 2e-5, "floor": 1e-5, "float32": 3e-4}
                | {"cost": {"moved": 10**6, "weights": 0, "operations": 10**9}, "float16 channels_last": 1e-4},
                at | {"task": "decompress", "stage": "symbols"},
            ],
        },
        "compiled_blocks": [at | {"stage": "analysis.level0", "float16 channels_last, compiled": 6e-5}],
        "counters": [
            {"kernel": "residual_up_kernel<1>", "launches": 2, "seconds": 4e-4, "bandwidth": 0.5, "int8": None}
        ],
        "not_run": [{"section": None, "what": "this", "why": "that"}],
    }
    tables.GPU.write_text(json.dumps(record))
    lines = tables.on_a_gpu(in_short).splitlines()
    assert "| images | 4 of 5 |" in lines
    assert "| compute-sanitizer memcheck | clean |" in lines
    assert "| compress, Kodak, batch 16 | 1.23 ms | 0.40 ms | 0.10 ms | 10.00 ms | – |" in lines
    assert "| compress, Kodak, batch 1 | – | – | – | – | 1.23 ms |" in lines
    assert "| compress, Kodak | 100 | 201 |" in lines
    caption = "Floors are at 3.10 TB/s, measured by a copy, and 2000 TOPS by the data sheet. GPU,"
    assert lines[-1].startswith(caption)
    lines = tables.on_a_gpu(kernels).splitlines()
    # 16 images at 10⁹ operations and 1 MB in 20 µs are 800 TOPS and 0.8 TB/s.
    assert (
        "| compress: analysis.level0 | 20 µs | 10 µs | 40 % | 26 % | 300 µs (15.0x) | 100 µs (5.0x) | 60 µs (3.0x) |"
        in lines
    )
    assert "| decompress: symbols | – | – | – | – | – | – | – |" in lines
    assert "| residual_up_kernel<1> | 2 | 400 µs | – | 50 % |" in lines
    assert any(line.startswith("The profiler's times are not to be trusted: ") for line in lines)
    assert "- this: that" in lines
    assert lines[-1].startswith(caption)
