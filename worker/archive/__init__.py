"""Files of containers as tar archives, out and in: a small root process for each copy, which sees one root filesystem and no more."""
