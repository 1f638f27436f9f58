"""Where answers come from: lists kept here or in Redis, similar items, and popular ones where there is no list."""
