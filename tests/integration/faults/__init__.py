"""Workers and brokers that fail, stand still, or find another world than they left."""
