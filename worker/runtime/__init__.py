"""Containers' processes: images, root filesystems, OCI bundles, and the runtime under conmon. Root's side only."""
