"""Clicks in, recommendations out: everything a worker needs on the way, without torch and without the model code."""
