"""What is measured and how: loads, subscribers, figures, and the systems and data that are compared."""
