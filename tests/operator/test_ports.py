"""Ports as Nomad's scheduler would choose them."""

from __future__ import annotations

import socket

import pytest

from pot_driver.errors import ConfigError
from pot_driver.operator import ports
from pot_driver.operator.job import PortAsk


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_port_that_somebody_listens_at_is_taken_on_whichever_address(address: str) -> None:
    with socket.socket() as listener:
        listener.bind((address, 0))
        listener.listen()
        taken = listener.getsockname()[1]
        with pytest.raises(ConfigError, match=f'port "http": static = {taken}: Address already in use'):
            ports.allocate([PortAsk(label="http", static=taken)], "127.0.0.1")
