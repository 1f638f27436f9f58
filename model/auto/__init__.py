"""`auto`: what is trained, and for how long, follows from the log and from the time there is."""
