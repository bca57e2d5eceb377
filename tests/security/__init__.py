"""What files, servers and other users of a machine may try, and what must not come of it."""
