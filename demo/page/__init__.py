"""The demo in a browser: a shop to click in, the way of each click, and an operator's drawer, on public interfaces."""
