import platform

from treenet_fast.evaluation.machine import processor


def test_processor(tmp_path):
    file = tmp_path / "cpuinfo"
    assert processor(file) in (platform.processor(), platform.machine())
    file.write_text("processor\t: 0\nflags\t: sse\n")
    assert processor(file) in (platform.processor(), platform.machine())
    file.write_text("processor\t: 0\nmodel name\t: A CPU @ 2 GHz\nprocessor\t: 1\nmodel name\t: B\n")
    assert processor(file) == "A CPU @ 2 GHz"
