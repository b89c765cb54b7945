"""Rules in the kernel: how they are worded, read and written, and which of a host's backends holds them."""
