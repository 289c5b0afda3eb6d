"""Pages and endpoints as a browser or an application meets them."""
