"""Of deploy/."""
