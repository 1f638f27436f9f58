"""What the worker is compared with: other programs that read the same clicks and publish the same lists.

Each runs as `python -m bench.peers.NAME` until it is stopped.
"""
