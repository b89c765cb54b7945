"""The plain values of the Container Network Model, shared by the unprivileged side and the worker.

Nothing here imports Django, pyroute2 or anything else of ours: a value can be made, compared and tested without a
database and without a kernel.
"""
