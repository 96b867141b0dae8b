"""Opens models of any kind and images for the pages that look into them."""
