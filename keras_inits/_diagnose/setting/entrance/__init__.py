"""What the data meet first: their values, and the layers that look them up or scale them."""
