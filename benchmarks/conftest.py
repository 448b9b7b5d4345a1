def pytest_addoption(parser):
    parser.addoption("--image", help="the photograph that the codec's benchmark works on")
