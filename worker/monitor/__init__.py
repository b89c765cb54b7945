"""The monitor: sees what others change in the kernel, and is the clock of the kernel worker. It writes nothing."""
