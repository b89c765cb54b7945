"""The port holder: one small process that holds every published host port of a host, and carries what rules do not.

It outlives the worker, so no other program can take a published port while the worker is away. It speaks only to root, over a Unix
socket, and keeps nothing on disk: after its own death the
monitor tells the worker, which reserves everything again.
"""
