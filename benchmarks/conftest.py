def pytest_addoption(parser):
    parser.addoption("--image", help="the photograph that the codec's benchmarks work on")
    parser.addoption("--quick", action="store_true", help="fewer runs and small images only: to see that all works")
