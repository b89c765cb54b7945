"""Exec sessions: commands in containers whose streams people are connected to. A root process of its own holds them.

It outlives the faces' connections, so that a terminal is there again after a broken one, and it is not the kernel worker, which
may be replaced meanwhile.
"""
