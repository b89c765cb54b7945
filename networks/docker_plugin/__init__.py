"""The fifth face: a network and IPAM plugin of a Docker Engine, by the protocol of libnetwork's remote drivers. Spoken by the process of
the Docker Engine API (``networks.engine``), on a socket of its own.

The protocol: https://github.com/moby/libnetwork/blob/master/docs/remote.md and ``docs/ipam.md`` beside it; what an engine really sends,
its ``drivers/remote`` and ``ipams/remote``.
"""
