"""Packet captures: a filter for the kernel, a file that Wireshark reads, and the small process between them."""
