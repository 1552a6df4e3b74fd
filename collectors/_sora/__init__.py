"""Parts of Sora's collector."""
