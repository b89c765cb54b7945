"""The embedded DNS server: names of containers at 127.0.0.11 in the sandboxes of user-defined networks.

Two processes. The *opener* (root, ``python -m worker.dns``) opens sockets inside sandboxes, keeps them, and parses nothing that a
container sent. The *resolver*, its child, gets the sockets and answers; it has given up root before it reads the first packet. A
resolver that dies is started again over the same sockets, so what was asked meanwhile is answered late, not lost.
"""
