"""RRD files: how they are called and made, and who writes them."""
