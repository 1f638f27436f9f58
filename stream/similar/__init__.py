"""Similar items, published for whoever shows a product page."""
