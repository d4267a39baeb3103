"""The server: the only part that is trusted, between consoles and agents.

It listens on two ports, each trusting one certificate authority, knows the
jobs, decides who may do what to them, and passes requests and answers on.
Start it with ``python -m jobmon_server``.  What can go wrong is one tree::

    ServerError               why the server cannot start, or a check failed
    ├── ConfigurationError    server.toml holds what it must not
    ├── SetupError            a new site was not made
    ├── TLSError              certificate, key or anchor of a port cannot be used
    ├── PortError             an address cannot be listened on
    └── StoreError            the store cannot be opened
    RefusedError              a request is not served; its code is one of the protocol's
"""

__all__: list[str] = []
