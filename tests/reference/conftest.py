import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """These tensors are small: more threads would only wait for each other, and long where the machine is busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
