"""Floor 1: virtual threads parked on carriers, platform threads, and the blocking facades."""
