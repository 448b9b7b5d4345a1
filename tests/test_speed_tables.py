"""The tables of what benchmarks/record.py recorded."""

import pytest

HEADER = {"image": "a.png", "processor": "a CPU", "torch": "2.13", "commit": "0123456789abcdef"}
CAPTION = "a.png, a CPU, torch 2.13, commit 0123456789."


@pytest.fixture
def tables(benchmark_script):
    return benchmark_script("speed_tables")


def speed_row(task, side, threads, seconds, size="Kodak", width=768):
    return {
        "task": task,
        "size": size,
        "width": width,
        "height": 512,
        "side": side,
        "threads": threads,
        "seconds": seconds,
    }


@pytest.fixture
def speed():
    """At a second size the float network takes turns on two threads alone."""
    times = {
        ("avx2", 1): 0.2,
        ("avx2", 2): 0.1,
        ("avx512vnni", 1): 0.1,
        ("avx512vnni", 2): 0.05,
        ("contiguous", 1): 2.0,
        ("contiguous", 2): 1.2,
        ("channels_last", 1): 1.6,
        ("channels_last", 2): 0.8,
        ("compiled", 2): 0.4,
        ("JPEG", None): 0.004,
    }
    faster = {("avx2", 1): 8.0, ("avx2", 2): 8.04, ("avx512vnni", 1): 16.0, ("avx512vnni", 2): 16.2}
    rows = [
        speed_row(task, *key, seconds) | ({"faster": faster[key]} if key in faster else {})
        for task in ("compress", "decompress")
        for key, seconds in times.items()
    ]
    for task in ("compress", "decompress"):
        rows.append(speed_row(task, "avx2", 1, 1.0, "1080p", 1920))
        rows.append(speed_row(task, "avx2", 2, 0.5, "1080p", 1920) | {"faster": 4.0})
        rows.append(speed_row(task, "channels_last", 2, 2.0, "1080p", 1920))
    return {**HEADER, "results": rows}


def test_speed(tables, speed):
    """A peer's one time stands with the most threads, a ratio only where the float network took turns."""
    lines = tables.speed(speed).splitlines()
    assert lines[0] == (
        "| Kodak, 768x512 | compress, 1 thread | compress, 2 threads | decompress, 1 thread | decompress, 2 threads |"
    )
    assert lines[2:8] == [
        f"| {side} | {cells} | {cells} |"
        for side, cells in {
            "`avx512vnni`": "100 ms (16.0x) | 50 ms (16.2x)",
            "`avx2`": "200 ms (8.0x) | 100 ms (8.0x)",
            "eager PyTorch float32, contiguous": "2000 ms | 1200 ms",
            "eager PyTorch float32, channels_last": "1600 ms | 800 ms",
            "`torch.compile`, float32, channels_last": "– | 400 ms",
            "JPEG": "– | 4 ms",
        }.items()
    ]
    assert "| `avx2` | 1000 ms | 500 ms (4.0x) | 1000 ms | 500 ms (4.0x) |" in lines
    assert lines[-1] == CAPTION


def test_speed_in_short(tables, speed):
    """Kodak's size alone, on the most threads."""
    lines = tables.speed_in_short(speed).splitlines()
    assert lines[0] == "|  | compress | decompress |"
    assert lines[2] == "| `avx512vnni` | 50 ms (16.2x) | 50 ms (16.2x) |"
    assert lines[-1] == f"768x512, 2 threads. {CAPTION}"
    assert not any("1080p" in line for line in lines)


def test_kernels(tables):
    """Shares are of the best peak measured beside any kernel; the best path comes first, the scalar one has no peak."""

    def row(kernel, isa, best, macs, products, peak):
        return {
            "kernel": kernel,
            "isa": isa,
            "count": 4,
            "macs": macs,
            "products": products,
            "peak": peak,
            "best": best,
            "seconds": 9.0,
        }

    rows = [
        row("gain", "scalar", 0.001, 0, 0, None),
        row("gain", "avx2", 0.0005, 0, 0, 60e9),
        row("level", "scalar", 0.1, 1e9, 1.5e9, None),
        row("level", "avx2", 0.05, 1e9, 1.5e9, 50e9),
    ]
    lines = tables.kernels({**HEADER, "results": rows}).splitlines()
    assert lines[0] == "| kernel | runs | `avx2` | GMAC/s | products | `scalar` | GMAC/s |"
    assert lines[2] == "| gain | 4 | 0.50 ms | – | – | 1.00 ms | – |"
    assert lines[3] == "| level | 4 | 50.00 ms | 20.0 (33 %) | 30.0 (50 %) | 100.00 ms | 10.0 |"
    assert lines[-1] == f"Best times, one thread. Measured peaks: 60 G/s with `avx2`. {CAPTION}"


def test_scaling(tables):
    """A pixel's time and memory, and both as multiples of 1080p's on as many threads.

    Times are compared turn by turn: what is slow for all in one turn changes no ratio, and what is slow for one is
    one turn of three.
    """

    def row(size, threads, width, turns, memory):
        return {
            "task": "decompress",
            "isa": "avx2",
            "size": size,
            "threads": threads,
            "width": width,
            "height": 1000,
            "seconds": turns[1],
            "turns": turns,
            "bytes": memory,
            "peak": memory + 10**6,
        }

    rows = [
        row("1080p", 1, 2000, [0.2, 0.4, 0.8], 40e6),
        row("1080p", 2, 2000, [0.1, 0.2, 0.1], 42e6),
        row("12 MP", 1, 12000, [1.32, 2.64, 2.4], 120e6),
        row("12 MP", 2, 12000, [0.6, 1.8, 0.6], 252e6),
    ]
    lines = tables.scaling({**HEADER, "results": rows}).splitlines()
    assert lines[2] == (
        "| decompress, 1080p | 200.0 ns (1.00x) | 100.0 ns (1.00x) | 2.00 "
        "| 20.0 bytes (1.00x) | 21.0 bytes (1.00x) | 43 MB |"
    )
    assert lines[3] == (
        "| decompress, 12 MP | 220.0 ns (1.10x) | 150.0 ns (1.00x) | 2.20 "
        "| 10.0 bytes (0.50x) | 21.0 bytes (1.00x) | 253 MB |"
    )
    assert lines[4] == ""
    loops = [
        {"task": "loop", "threads": 1, "turns": [1.0, 2.0, 1.0]},
        {"task": "loop", "threads": 2, "turns": [0.5, 1.0, 1.0]},
    ]
    with_loops = tables.scaling({**HEADER, "results": [*rows, *loops]}).splitlines()
    assert with_loops[:4] == lines[:4]
    assert with_loops[4] == "| a loop in 2 processes |  |  | 2.00 |  |  |  |"


def test_turn_by_turn(benchmark_script):
    """Of medians, the ratio would be 1."""
    turn_by_turn = benchmark_script("speed_tables").turn_by_turn
    assert turn_by_turn({"turns": [1.0, 2.0, 4.0]}, {"turns": [2.0, 1.0, 2.0]}) == 2


def test_rans(tables):
    def row(way, side, lanes, best):
        return {"task": f"rans {way}", "side": side, "lanes": lanes, "symbols": 2000 * lanes, "best": best}

    rows = [
        row("encode", "avx2", 1, 1e-5),
        row("encode", "avx2", 32, 2e-4),
        row("encode", "compressai", 1, 1e-4),
        row("encode", "compressai", 32, 1e-2),
        row("decode", "avx2", 1, 2e-5),
        row("decode", "avx2", 32, 4e-4),
        row("decode", "compressai", 1, 1e-3),
        row("decode", "compressai", 32, 1e-2),
        {"task": "rans of a file", "side": "avx2", "part_of": "compress", "symbols": 5000, "best": 1e-3, "whole": 0.05},
    ]
    lines = tables.rans({**HEADER, "results": rows}).splitlines()
    assert lines[0] == "| encode / decode | 1 lane | 32 lanes |"
    assert lines[2:4] == ["| `avx2` | 200 / 100 | 320 / 160 |", "| CompressAI | 20 / 2 | 6 / 6 |"]
    assert lines[9] == "| compress, `avx2` | 5000 | 1.00 ms | 50.0 ms | 2.0 % |"
