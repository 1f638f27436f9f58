"""The shop that is simulated: its stock, its tastes, how both may shift, and how shoppers click."""
